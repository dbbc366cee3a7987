/**
 * Clients of a primary that was started again (M3). Recovery brings back transactions that nobody
 * has confirmed yet. Whoever reads them may act on what the next failover takes away. So such a
 * primary is started with its clients kept out, and they are let in when so many standbys have
 * confirmed the end of its recovery that whoever may lead next has it. A promotion needs none of
 * this: the candidate had all that was acknowledged, and nothing else was shown by it.
 */

import type { Chore } from './chores.ts';
import { sameName } from './cluster.ts';
import type { Context } from './context.ts';
import { type Answer, type DrawnTable, onlyAnswer, type Row } from './decision-table.ts';
import type { ServerRole } from './effects.ts';
import type { Memory } from './model.ts';
import type { DynamicSettings } from './settings.ts';
import { isSuspect } from './strangers.ts';
import { parseSyncNames, realNames } from './sync-names.ts';

/** Without strict mode, standbys that do not come are waited for no longer than this. */
const PATIENCE_MS = 10_000;
/** They are usually back at once. */
const SOON_MS = 3000;
const LOOK_SOON_MS = 30;
const LOOK_LATER_MS = 1000;

/**
 * A start as this role keeps clients out: commits on it wait for standbys. Names that are not given
 * are those in the files: an agent that is locked out has not seen them.
 */
export function keepsClientsOut(role: ServerRole, { synchronousMode }: Pick<DynamicSettings, 'synchronousMode'>): boolean {
  if (role.kind !== 'primary') return false;
  if (role.syncNames === undefined) return synchronousMode !== 'off';
  return realNames(parseSyncNames(role.syncNames ?? '')).length > 0;
}

/**
 * Where the WAL ended when the primary was first seen since its start. That is the end of recovery
 * or later, so who has confirmed it has all that recovery brought back.
 */
export function recovered(c: Context, before: Memory): Memory['recovered'] {
  if (c.o.pg.clientsOut !== true || c.o.pg.state === 'stopped') return null;
  const lsn = c.isPrimary ? (c.o.pg.sql?.flushLsn ?? null) : null;
  return before.recovered ?? (lsn === null ? null : { lsn, atMs: c.o.nowMs });
}

interface Facts {
  readonly c: Context;
  /** Standbys that commits wait for. */
  readonly names: readonly string[];
  /** So many of them must confirm. */
  readonly count: number;
  /** Those that have confirmed the end of recovery. */
  readonly confirmed: readonly string[];
}

const strict = ({ c }: Facts) => c.o.settings.dynamic.synchronousModeStrict;
const waitedMs = (c: Context) => (c.m.recovered === null ? 0 : c.o.nowMs - c.m.recovered.atMs);
const list = (names: readonly string[]) => names.join(', ') || 'nobody';

export const admissionRows: readonly Row<Facts, 'admit' | 'wait'>[] = [
  {
    id: 'admission.paused',
    situation: 'the cluster is paused: the operator is in charge',
    when: ({ c }) => c.paused,
    verdict: 'admit',
    because: () => 'clients are let in: the cluster is paused',
  },
  {
    id: 'admission.standby',
    situation: 'it is a standby, which shows what its leader sends',
    when: ({ c }) => c.isStandby,
    verdict: 'admit',
    because: () => 'clients are let in: this is a standby',
  },
  {
    id: 'admission.unknown',
    situation: 'PostgreSQL does not answer yet',
    when: ({ c }) => !c.isPrimary || c.m.recovered === null,
    verdict: 'wait',
    because: () => 'clients wait: PostgreSQL does not answer yet',
  },
  {
    id: 'admission.not-leading',
    situation: 'this node may not lead now',
    when: ({ c }) => !c.mayLeadNow,
    verdict: 'wait',
    because: () => 'clients wait: this node may not lead now',
  },
  {
    id: 'admission.alone',
    situation: 'commits wait for no standby, so nobody else may lead without what is here',
    when: ({ names }) => names.length === 0,
    verdict: 'admit',
    because: () => 'clients are let in: no other node may lead without what was recovered here',
  },
  {
    id: 'admission.confirmed',
    situation: 'so many standbys have confirmed the end of recovery as confirm a commit',
    when: ({ confirmed, count }) => confirmed.length >= count,
    verdict: 'admit',
    because: ({ confirmed, c }) => `clients are let in: ${list(confirmed)} confirmed all that was recovered, up to ${c.m.recovered?.lsn}`,
  },
  {
    id: 'admission.patience',
    situation: 'they have not within 10 s, and synchronous_mode_strict is off',
    when: (facts) => !strict(facts) && waitedMs(facts.c) >= PATIENCE_MS,
    verdict: 'admit',
    because: ({ confirmed, count, names }) =>
      `clients are let in, although ${list(confirmed)} of ${list(names)} confirmed what was recovered, and ${count} should have: ` +
      'a failover now may take back what they read (synchronous_mode_strict is off)',
  },
  {
    id: 'admission.unconfirmed',
    situation: 'otherwise',
    when: () => true,
    verdict: 'wait',
    because: ({ count, names }) => `clients wait until ${count} of ${list(names)} confirmed what was recovered here`,
  },
];

export const admissionTable: DrawnTable = {
  title: 'When clients are let into a primary that was started again',
  situation: 'in synchronous modes, after a start of a primary',
  rows: admissionRows,
};

/** Null: clients are not kept out. */
export const admission = (c: Context): Answer<'admit' | 'wait'> | null =>
  c.o.pg.clientsOut === true ? onlyAnswer(admissionRows, factsOf(c)) : null;

export interface Admission {
  readonly chores: readonly Chore[];
  readonly wakeInMs: number | null;
}

export const nobodyWaits: Admission = { chores: [], wakeInMs: null };

/** etcd need not answer: the names in force cover whoever may be elected (core/sync.ts). */
export function admit(c: Context): Admission {
  const answer = c.o.job === null ? admission(c) : null;
  if (answer === null) return nobodyWaits;
  const { id, verdict, because } = answer;
  if (verdict === 'wait') return { chores: [], wakeInMs: waitedMs(c) < SOON_MS ? LOOK_SOON_MS : LOOK_LATER_MS };
  const warn = id === 'admission.patience';
  return { chores: [{ kind: 'admit', effects: [{ kind: 'admit-clients', because, warn }] }], wakeInMs: null };
}

/** Why clients wait now; null: they do not. */
export function clientsWait(c: Context): string | null {
  const answer = admission(c);
  return answer?.verdict === 'wait' ? answer.because : null;
}

function factsOf(c: Context): Facts {
  const inForce = parseSyncNames(c.o.pg.sql?.synchronousStandbyNames ?? '');
  const names = realNames(inForce);
  const end = c.m.recovered?.lsn ?? null;
  const senders = c.o.pg.sql?.replication ?? [];
  const confirmed = names.filter(
    (name) =>
      !isSuspect(c, name) &&
      senders.some(
        ({ applicationName, flushLsn }) => sameName(applicationName, name) && flushLsn !== null && end !== null && flushLsn >= end,
      ),
  );
  return { c, names, count: Math.min(inForce.count, names.length), confirmed };
}
