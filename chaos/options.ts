/** The command line of `regent chaos`. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { RegentError } from '../src/support/errors.ts';
import { KINDS, type Kind, SMALL_KINDS } from './plan.ts';

export const MODES = ['quorum', 'on', 'off'] as const;
/** Of `synchronous_mode`. */
export type Mode = (typeof MODES)[number];

export interface ChaosOptions {
  /** How long faults are inflicted; building the cluster and the last checks come on top. */
  readonly minutes: number;
  readonly seed: number;
  readonly mode: Mode;
  readonly members: number;
  readonly ttlSeconds: number;
  /** Small faults, one at a time, and nobody may lose the lead. */
  readonly small: boolean;
  /** Only these; empty: all. */
  readonly only: readonly Kind[];
  /** The directory is left in any case. */
  readonly keep: boolean;
}

const SEED_MAX = 2 ** 32 - 1;
const MINUTES_MAX = 100_000;
const DEFAULT_TTL_SECONDS = 5;
const DEFAULT_MEMBERS = 3;

export const USAGE = `usage: regent chaos --minutes N [--seed S] [--mode quorum|on|off] [--members 3..5] [--ttl N] [--small] [--only KIND ...] [--keep]

Builds a cluster of real processes, each node a host in a network of its own (as root), hurts it at random, one or two faults
at a time, under clients that write through the router and clients that write straight to every node, and checks what they were told.

  --minutes N    for so long new faults come (0.5 is half a minute)
  --seed S       draws the same faults again; their moments are the machine's
  --mode MODE    synchronous_mode (default quorum); with off, writes may be lost, and how many is told
  --members N    nodes with PostgreSQL (default ${DEFAULT_MEMBERS})
  --ttl N        seconds (default ${DEFAULT_TTL_SECONDS})
  --small        only what must not cost anybody the lead, one at a time: ${SMALL_KINDS.join(', ')}
  --only KIND    may be given several times: ${KINDS.join(', ')}
  --keep         leave the directory: logs, data, history.jsonl. It is left in any case when a check fails

Exit code 0: every check held. 1: one did not. 2: wrong usage, or this machine cannot do it. 130: stopped by a signal.
`;

const wrong = (message: string, mend = 'see: regent chaos --help') => new RegentError('CHAOS_OPTION', message, { mend });

function numberOf(name: string, text: string | undefined, otherwise: number, [least, most]: readonly [number, number]): number {
  if (text === undefined) return otherwise;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  throw wrong(`--${name} ${text}: not a whole number from ${least} to ${most}`);
}

function minutesOf(text: string | undefined): number {
  const minutes = text !== undefined && /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (minutes > 0 && minutes <= MINUTES_MAX) return minutes;
  throw wrong(text === undefined ? '--minutes is missing' : `--minutes ${text}: not a number of minutes`);
}

function oneOf<T extends string>(name: string, allowed: readonly T[], text: string): T {
  const found = allowed.find((one) => one === text);
  if (found === undefined) throw wrong(`--${name} ${text}: there is none of that name`, `give one of: ${allowed.join(', ')}`);
  return found;
}

/** null: help is wanted. Throws CHAOS_OPTION. */
export function parseChaosOptions(args: readonly string[]): ChaosOptions | null {
  const values = read(args);
  if (values.help) return null;
  return {
    minutes: minutesOf(values.minutes),
    seed: numberOf('seed', values.seed, randomInt(1_000_000), [0, SEED_MAX]),
    mode: oneOf('mode', MODES, values.mode ?? 'quorum'),
    members: numberOf('members', values.members, DEFAULT_MEMBERS, [3, 5]),
    ttlSeconds: numberOf('ttl', values.ttl, DEFAULT_TTL_SECONDS, [5, 300]),
    small: values.small ?? false,
    only: (values.only ?? []).map((kind) => oneOf('only', KINDS, kind)),
    keep: values.keep ?? false,
  };
}

function read(args: readonly string[]) {
  try {
    const options = {
      help: { type: 'boolean', short: 'h' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      mode: { type: 'string' },
      members: { type: 'string' },
      ttl: { type: 'string' },
      small: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      keep: { type: 'boolean' },
    } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}
