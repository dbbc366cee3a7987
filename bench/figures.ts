/** What was measured, and how repetitions are summed up. Pure. */
import type { CheckCost } from './checks.ts';
import type { IdleCost } from './idle.ts';
import type { ScenarioId, SystemId } from './options.ts';
import type { Outage } from './outage.ts';

export const COLUMNS = ['regent-router', 'regent', 'patroni'] as const;
export type ColumnId = (typeof COLUMNS)[number];

export type EventId = Exclude<ScenarioId, 'start' | 'idle' | 'checks' | 'sync-idle'>;

export interface EventFigure extends Outage {
  readonly column: ColumnId;
  readonly event: EventId;
  /** Acknowledged rows that are on no primary any more. */
  readonly lost: number;
}

export interface IdleFigure {
  readonly system: SystemId;
  readonly withChecks: boolean;
  /** Regent's leader beats then. */
  readonly synchronous: boolean;
  readonly cost: IdleCost;
}

export interface Figures {
  readonly starts: ReadonlyArray<{ readonly system: SystemId; readonly tookMs: number }>;
  readonly events: readonly EventFigure[];
  readonly idle: readonly IdleFigure[];
  readonly checks: ReadonlyArray<{ readonly system: SystemId; readonly cost: CheckCost }>;
  /** What could not be measured. */
  readonly failures: ReadonlyArray<{ readonly system: SystemId; readonly scenario: string; readonly message: string }>;
}

export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

/** null of nothing. */
export function summarize(values: readonly number[]): Summary | null {
  const sorted = [...values].sort((one, other) => one - other);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) return null;
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { median, least, most, count: sorted.length };
}
