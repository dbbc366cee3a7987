/**
 * Ends the walreceiver. SQL cannot: pg_terminate_backend() does not know it, because it is no
 * backend.
 */
import { readFileSync } from 'node:fs';
import { HeldProcess } from './detect.ts';
import type { LocalServer } from './local-server.ts';

/** A pid may have become another process since it was seen. */
export function endReceiver({ watch, settings }: LocalServer, pid: number): void {
  const postmaster = watch.current(settings.postgresql.dataDir);
  const held = HeldProcess.hold(pid);
  if (held === null) return;
  try {
    if (held.ppid === postmaster?.pid && isReceiver(titleOf(pid))) held.signal('SIGTERM');
  } finally {
    held.release();
  }
}

/** `postgres: CLUSTER: walreceiver streaming 0/3000148`; those of sessions begin with the user. */
export const isReceiver = (title: string): boolean => /^postgres: (.*: )?walreceiver\b/.test(title);

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
