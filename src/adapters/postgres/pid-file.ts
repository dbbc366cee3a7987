/** postmaster.pid: what a running server writes about itself into its data directory. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../support/errors.ts';

export interface PidFile {
  readonly pid: number;
  /** Epoch seconds. */
  readonly startTime: number | null;
  readonly port: number | null;
  readonly socketDir: string | null;
  /** First listen address; null when none. */
  readonly listenHost: string | null;
  /**
   * Id of the shared memory segment that the postmaster and all who work for it are attached to.
   */
  readonly shmemId: number | null;
  readonly status: 'starting' | 'stopping' | 'ready' | 'standby' | null;
}

/**
 * postmaster.pid, line by line: src/include/utils/pidfile.h of PostgreSQL. Later lines appear as
 * the start goes on. Null: not such a file.
 */
export function parsePidFile(text: string): PidFile | null {
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[0]);
  // Single-user mode writes its pid negative: no postmaster.
  if (!/^-?\d+$/.test(lines[0] ?? '') || pid <= 1) return null;
  const number = (line: string | undefined) => (line && /^\d+$/.test(line) ? Number(line) : null);
  const status = lines[7];
  return {
    pid,
    startTime: number(lines[2]),
    port: number(lines[3]),
    socketDir: lines[4] || null,
    listenHost: lines[5] || null,
    shmemId: number(lines[6]?.split(/\s+/)[1]),
    status: status === 'starting' || status === 'stopping' || status === 'ready' || status === 'standby' ? status : null,
  };
}

/** Null when there is none, or when it is not (yet) a pid file. */
export function readPidFile(dataDir: string): PidFile | null {
  try {
    return parsePidFile(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' || codeOf(error) === 'EACCES') return null;
    throw error;
  }
}
