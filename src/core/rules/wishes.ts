/** What the operator asked of this node over REST. */
import { clusterTimeline, mayLead, sameName } from '../cluster.ts';
import { type Context, primaryRole, readyLeader, wantedSource } from '../context.ts';
import { divergenceFrom, leaderHasLess } from '../divergence.ts';
import type { Effect, ServerRole } from '../effects.ts';
import { inheritedVerdict } from '../inherited-key.ts';
import { blindRole } from '../locked-out.ts';
import { takeover } from '../sync.ts';
import { wasPrimary } from './stopped.ts';
import type { Outcome, Rule } from './table.ts';

/**
 * The cluster as known has not gone on without this stopped primary: nobody else promised anything
 * that its data lack.
 */
function isLatest(c: Context): boolean {
  if (c.view === null || !mayLead(c.o.settings.local.tags)) return false;
  const { sync } = c.view;
  const expected = clusterTimeline(c.view);
  const behind = expected !== null && (c.o.pg.control?.timeline ?? 0) < expected;
  const promised = sync !== null && sync.leader !== null && !sameName(sync.leader, c.me);
  const another = [...(c.o.peers?.values() ?? [])].some((peer) => !peer.inRecovery && peer.state === 'running');
  return !behind && !promised && !another && c.o.peers !== null;
}

/**
 * How a stopped server is to come up at the operator's wish. Null: not yet, or something has to be
 * mended first; the ordinary rules then go on. A primary gets the leader key first, in a pause as
 * well: what it has written by the time it is refused would be lost.
 */
function startAs(c: Context): Outcome | null {
  const start = (role: ServerRole, ...before: readonly Effect[]): Outcome => ({
    effects: [...before, { kind: 'start-job', job: { kind: 'start', role, why: 'restart' } }],
  });
  if (c.m.handedOver && readyLeader(c) === null) return null;
  if (c.lockMine) {
    if (!c.mayLeadNow || c.o.pg.baseBackup !== undefined || (wasPrimary(c) && inheritedVerdict(c).kind !== 'lead')) return null;
    if (!wasPrimary(c)) return start({ kind: 'standby', source: null });
    const { names, effect } = takeover(c);
    return start({ kind: 'primary', syncNames: names }, ...(effect ? [effect] : []));
  }
  if (c.otherLeader !== null) {
    if (leaderHasLess(c)) return null;
    const divergence = divergenceFrom(c.o.pg, c.o.source);
    const unclear = wasPrimary(c) && (readyLeader(c) === null || divergence === 'unknown');
    return unclear || divergence === 'diverged' ? null : start({ kind: 'standby', source: wantedSource(c) });
  }
  if (!c.unlocked) return null;
  // Outside a pause the members first compare their positions.
  if (c.paused && wasPrimary(c) && isLatest(c)) return { effects: [{ kind: 'acquire-leader' }], wakeInMs: 0 };
  return start({ kind: 'standby', source: null });
}

export const wishRules: readonly Rule[] = [
  {
    id: 'wish.restart',
    situation: 'the operator wants PostgreSQL restarted, and its role here is clear',
    when: (c) =>
      c.o.wishes.restart !== null &&
      (c.isStandby ||
        blindRole(c, { kind: 'standby', source: null }) !== null ||
        (c.isPrimary && (c.paused || (c.lockMine && c.mayLeadNow)))),
    ask: (c) => {
      const standby = { kind: 'standby', source: wantedSource(c) } as const;
      const role: ServerRole = c.isPrimary ? primaryRole(c) : (blindRole(c, standby) ?? standby);
      return {
        effects: [{ kind: 'start-job', job: { kind: 'restart', role, why: 'restart', timeoutMs: c.o.wishes.restart?.timeoutMs ?? null } }],
      };
    },
    because: 'restart: at the operator’s wish',
  },
  {
    id: 'wish.start',
    situation: 'the operator wants PostgreSQL restarted; it is down, and how it is to come up is clear',
    when: (c) => c.o.wishes.restart !== null && c.stopped && c.o.pg.dataDir === 'valid' && startAs(c) !== null,
    ask: (c) => startAs(c) ?? {},
    because: 'restart: starting PostgreSQL, which is down, at the operator’s wish',
  },
];
