/** What the commands besides `demo` itself do with a demo that may or may not be running. */
import { closeSync, openSync, readSync, statSync, unwatchFile, watchFile } from 'node:fs';
import { RegentError } from '../support/errors.ts';
import { askSupervisor, type ControlReply, type ControlRequest } from './control.ts';
import { endInOrder, killNode } from './kill.ts';
import type { DemoPlan } from './plan.ts';
import { isAlive } from './process-table.ts';
import { marksOf } from './specs.ts';
import { EMPTY_STATE, readState, writeState } from './state.ts';

const STATUS_TIMEOUT_MS = 5000;
const ACTION_TIMEOUT_MS = 30_000;
const SHUTDOWN_TIMEOUT_MS = 60_000;

function timeoutOf(request: ControlRequest): number {
  if (request.command === 'status') return STATUS_TIMEOUT_MS;
  return request.command === 'shutdown' ? SHUTDOWN_TIMEOUT_MS : ACTION_TIMEOUT_MS;
}

/** Throws the supervisor's own error when it refuses. */
export async function ask(plan: DemoPlan, request: ControlRequest): Promise<ControlReply & { ok: true }> {
  const reply = await askSupervisor(plan, request, timeoutOf(request));
  if (!reply.ok) throw new RegentError(reply.code, reply.message, reply.mend === null ? {} : { mend: reply.mend });
  return reply;
}

/**
 * Stops everything: through the supervisor, or without it when it has died. Resolves to whether
 * anything ran. Processes are ended only if they are, by start time, the ones that were recorded,
 * or carry the mark of one of the nodes.
 */
export async function stopEverything(plan: DemoPlan): Promise<boolean> {
  const state = await readState(plan.directory);
  const supervisor = state.supervisor;
  if (supervisor && isAlive(supervisor)) {
    await ask(plan, { command: 'shutdown' });
    await endInOrder([supervisor], 5000);
    return true;
  }
  const of = (kinds: readonly string[]) =>
    state.processes
      .filter((entry) => kinds.includes(entry.kind))
      .flatMap((entry) => entry.identity ?? [])
      .filter((one) => isAlive(one));
  const left = of(['agent', 'router', 'haproxy', 'etcd']);
  await endInOrder(of(['router', 'haproxy']), 2000);
  await endInOrder(of(['agent']), 15_000);
  let killed = 0;
  for (const node of plan.nodes) killed += await killNode(marksOf(node, null));
  for (const member of of(['etcd'])) await endInOrder([member], 3000);
  if (left.length + killed > 0) await writeState(plan.directory, EMPTY_STATE);
  return left.length + killed > 0;
}

const CHUNK_BYTES = 64 * 1024;
const FOLLOW_EVERY_MS = 200;

/** Copies a file to `write` from `offset` on; returns where it ends now. */
function copyFrom(path: string, offset: number, write: (chunk: Buffer) => void): number {
  const handle = openSync(path, 'r');
  try {
    let position = offset;
    for (;;) {
      const buffer = Buffer.alloc(CHUNK_BYTES);
      const read = readSync(handle, buffer, 0, buffer.length, position);
      if (read === 0) return position;
      write(buffer.subarray(0, read));
      position += read;
    }
  } finally {
    closeSync(handle);
  }
}

/** Prints the end of a log; with `follow` goes on until the signal aborts. */
export async function showLog(path: string, write: (chunk: Buffer) => void, follow: AbortSignal | null): Promise<void> {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let position = size === 0 ? 0 : copyFrom(path, Math.max(0, size - CHUNK_BYTES), write);
  if (follow === null) return;
  await new Promise<void>((resolve) => {
    const onChange = (now: { size: number }) => {
      if (now.size < position) position = 0;
      if (now.size > position) position = copyFrom(path, position, write);
    };
    watchFile(path, { interval: FOLLOW_EVERY_MS }, onChange);
    follow.addEventListener('abort', () => {
      unwatchFile(path, onChange);
      resolve();
    });
  });
}
