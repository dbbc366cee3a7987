/**
 * Everything outside the program that a command uses, except the answers of etcd and of the
 * members. Tests supply their own. Terminal, environment, time and the opening of etcd come in
 * here, so that a whole run of the tool is one call of main().
 */
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Log } from '../ports/log.ts';
import type { CtlConfig } from './config.ts';
import type { Identify } from './identify.ts';
import type { Reach } from './reach.ts';

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean };

export interface CtlIo {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** The etcd of one cluster. */
  openDcs(config: CtlConfig, scope: string, log: Log): Promise<Dcs>;
  /** Whether anybody listens on a member's address. */
  readonly reach: Reach;
  /** Which cluster a PostgreSQL server belongs to. */
  readonly identify: Identify;
}
