/**
 * A chore is what a round puts in order beside the decision about leadership. Each has its own
 * outcome. One that fails stops no other, is tried again after a hold-off of its own, and is logged
 * once, not in every round.
 */
import type { Effect } from './effects.ts';

/**
 * What a failing chore is called in the log, in `health` and in metrics: "slots: not all
 * replication slots could …".
 */
const NAMES = {
  sync: 'synchronous standbys',
  admit: 'letting clients in',
  'let-go': 'letting go of the former primary',
  fence: 'letting go of a promise to the other voters',
  follow: 'following the leader',
  stuck: 'ending replication connections on which nothing comes since the network was cut',
  replay: 'resuming WAL replay',
  callback: 'callback',
  initialize: 'the key initialize',
  config: 'the key config',
  status: 'the keys history and status',
  failsafe: 'the key failsafe',
  files: 'configuration files',
  slots: 'replication slots',
  'logical-slots': 'logical replication slots',
  strangers: 'ending walsenders of strangers',
  checkpoint: 'checkpoint after the promotion',
  'caught-up': 'mark of a restored base backup',
  strayed: 'mark of WAL that was written by hand',
  'opened-by-hand': 'mark of a promotion by hand',
} as const;

export type ChoreKind = keyof typeof NAMES;

export interface Chore {
  readonly kind: ChoreKind;
  /** In order; the first that cannot be done ends this chore, and no other. */
  readonly effects: readonly Effect[];
}

export interface ChoreOutcome {
  readonly kind: ChoreKind;
  readonly ok: boolean;
  /** Stable code of the error, when it failed. */
  readonly code: string | null;
  readonly message: string | null;
  /** Loop clock, ms. */
  readonly endedAtMs: number;
  /** Observation.configVersion of the round it was done in. */
  readonly configVersion?: number;
}

export interface ChoreFailure {
  /** In a row. */
  readonly count: number;
  readonly sinceMs: number;
  readonly lastAtMs: number;
  readonly message: string;
  readonly configVersion?: number;
}

export type ChoreFailures = Readonly<Partial<Record<ChoreKind, ChoreFailure>>>;

export const choreName = (kind: ChoreKind): string => NAMES[kind];

/**
 * Commits and elections wait for these, so they are tried again soon, however often they failed.
 */
const KEEPS_A_PROMISE: ReadonlySet<ChoreKind> = new Set(['sync', 'admit', 'let-go', 'fence', 'follow', 'replay']);
const FIRST_HOLD_OFF_MS = 1000;
const MOST_HOLD_OFF_MS = 30_000;

/**
 * Milliseconds still to wait before a chore that failed may be tried again; 0: now. Settings that
 * have changed since may be the mend.
 */
export function choreHoldOffMs(
  failures: ChoreFailures,
  kind: ChoreKind,
  { nowMs, configVersion }: { readonly nowMs: number; readonly configVersion?: number },
): number {
  const failure = failures[kind];
  if (failure === undefined || (failure.configVersion !== undefined && failure.configVersion !== configVersion)) return 0;
  const wait = KEEPS_A_PROMISE.has(kind) ? FIRST_HOLD_OFF_MS : FIRST_HOLD_OFF_MS * 2 ** Math.min(10, failure.count - 1);
  return Math.max(0, failure.lastAtMs + Math.min(MOST_HOLD_OFF_MS, wait) - nowMs);
}

/** The failures after the outcomes since the last round. */
export function choreFailures(outcomes: readonly ChoreOutcome[], before: ChoreFailures): ChoreFailures {
  if (outcomes.length === 0) return before;
  const failures: Partial<Record<ChoreKind, ChoreFailure>> = { ...before };
  for (const { kind, ok, code, message, endedAtMs, configVersion } of outcomes) {
    const known = failures[kind];
    if (ok) delete failures[kind];
    else
      failures[kind] = {
        count: (known?.count ?? 0) + 1,
        sinceMs: known?.sinceMs ?? endedAtMs,
        lastAtMs: endedAtMs,
        message: message ?? code ?? 'unknown cause',
        ...(configVersion === undefined ? {} : { configVersion }),
      };
  }
  return failures;
}

/** A chore that is no longer wanted no longer fails. */
export function stillWanted(failures: ChoreFailures, wanted: readonly Chore[]): ChoreFailures {
  const gone = (Object.keys(failures) as ChoreKind[]).filter((kind) => !wanted.some((chore) => chore.kind === kind));
  if (gone.length === 0) return failures;
  return Object.fromEntries(Object.entries(failures).filter(([kind]) => !gone.includes(kind as ChoreKind)));
}

export interface ChoreNote {
  readonly level: 'info' | 'warning';
  readonly text: string;
}

/** Numbers in a message (positions, pids, times) change from try to try; the cause does not. */
const causeOf = (message: string) => message.replace(/\d+/g, '#');

/**
 * What is new for a reader of the log: a chore begins to fail, fails for another reason, or no
 * longer fails.
 */
export function choreNotes(before: ChoreFailures, after: ChoreFailures): readonly ChoreNote[] {
  const notes: ChoreNote[] = [];
  for (const kind of Object.keys(after) as ChoreKind[]) {
    const [was, is] = [before[kind], after[kind]];
    if (is === undefined || (was !== undefined && causeOf(was.message) === causeOf(is.message))) continue;
    notes.push({ level: 'warning', text: `${choreName(kind)}: ${is.message}; everything else goes on, and this is tried again` });
  }
  for (const kind of Object.keys(before) as ChoreKind[]) {
    if (after[kind] === undefined) notes.push({ level: 'info', text: `${choreName(kind)}: no longer failing` });
  }
  return notes;
}
