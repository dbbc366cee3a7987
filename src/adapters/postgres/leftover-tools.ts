/**
 * Programs that a killed agent left at work on the data directory. They have a session of their
 * own, so they go on. They must be gone before the next one begins, because two would write into
 * one directory.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { type Clock, sleep } from '../../ports/clock.ts';
import { RegentError } from '../../support/errors.ts';
import { HeldProcess } from './detect.ts';
import { stagingPath } from './marks.ts';

const TOOLS = new Set(['initdb', 'pg_basebackup', 'pg_rewind']);
const LOOK_MS = 10;

/** A process is recognized by its program and by the data directory among its arguments. */
function worksOn(pid: number, dataDir: string): boolean {
  try {
    if (!TOOLS.has(basename(readlinkSync(`/proc/${pid}/exe`)))) return false;
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return args.some((arg) => arg === dataDir || arg.endsWith(`=${dataDir}`) || arg.endsWith(`=${stagingPath(dataDir)}`));
  } catch {
    return false;
  }
}

function findTools(dataDir: string): HeldProcess[] {
  const found: HeldProcess[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || !worksOn(pid, dataDir)) continue;
    const held = HeldProcess.hold(pid);
    if (held && worksOn(pid, dataDir)) found.push(held);
    else held?.release();
  }
  return found;
}

/** Throws PG_TOOL_STUCK when one does not end even so. */
export async function endLeftoverTools(clock: Clock, dataDir: string, timeoutMs: number): Promise<void> {
  const deadline = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const left = findTools(dataDir);
    if (left.length === 0) return;
    for (const tool of left) {
      tool.signal('SIGKILL');
      tool.release();
    }
    if (clock.monotonicMs() > deadline) {
      const pids = left.map((tool) => tool.pid).join(', ');
      throw new RegentError('PG_TOOL_STUCK', `an earlier program still works on ${dataDir} and cannot be ended: ${pids}`, {
        policy: 'transient',
      });
    }
    await sleep(clock, LOOK_MS);
  }
}
