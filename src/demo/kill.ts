/** Ends processes that are known by identity, never by name or bare pid. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, type NodeMarks, nodeProcesses, type ProcessIdentity } from './process-table.ts';

const POLL_MS = 20;
const ROUNDS_MAX = 20;

/** True when the signal was sent: the process lived and was the recorded one. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    return process.kill(identity.pid, name);
  } catch {
    return false;
  }
}

/** Resolves to whether all have ended within the time. */
export async function waitGone(identities: readonly ProcessIdentity[], timeoutMs: number): Promise<boolean> {
  const end = Date.now() + timeoutMs;
  while (identities.some((identity) => isAlive(identity))) {
    if (Date.now() >= end) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/**
 * SIGTERM, and SIGKILL for what has not ended after the grace. Resolves when they are gone, or
 * after two more seconds.
 */
export async function endInOrder(identities: readonly ProcessIdentity[], graceMs: number): Promise<void> {
  for (const identity of identities) signal(identity, 'SIGTERM');
  if (await waitGone(identities, graceMs)) return;
  for (const identity of identities) signal(identity, 'SIGKILL');
  await waitGone(identities, 2000);
}

/**
 * kill -9 of a node's whole process tree, as if its machine had lost power. Repeats until nothing
 * new appears: what is being forked while the list is made shows up in the next one. Resolves to
 * how many processes were killed.
 */
export async function killNode(marks: NodeMarks): Promise<number> {
  const killed = new Set<string>();
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const victims = nodeProcesses(marks);
    if (victims.length === 0) break;
    for (const victim of victims) if (signal(victim, 'SIGKILL')) killed.add(`${victim.pid}:${victim.startTicks}`);
    await waitGone(victims, 500);
  }
  return killed.size;
}
