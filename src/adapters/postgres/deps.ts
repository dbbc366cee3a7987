/**
 * What the parts of this adapter share. Settings are passed per call, because they change while the
 * agent runs.
 */
import type { Client } from 'pg';
import type { Settings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { RunOptions, RunResult } from '../../support/exec.ts';
import type { ConnectOptions } from './sql.ts';

/** User and group PostgreSQL runs as, where they are not the agent's own. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Deps {
  readonly settings: Settings;
  readonly log: Log;
  readonly clock: Pick<Clock, 'monotonicMs' | 'timer'>;
  /**
   * runCommand, under the user PostgreSQL runs as.
   * `file` is a full path or a name for PATH; see `binary`.
   */
  readonly run: (file: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;
  /** `connect` of sql.ts. The caller ends the client with `discard`. */
  readonly connect: (options: ConnectOptions) => Promise<Client>;
  /**
   * The owner of files made for PostgreSQL; absent or null: they stay the agent's. `run` already
   * runs as this user.
   */
  readonly runAs?: Owner | null;
}
