/** How PostgreSQL is started when it is down and an operator asked for a restart. */
import { clusterTimeline, mayLead, sameName } from './cluster.ts';
import { awaitsRemote, type Context, comparedWith, readyLeader, wantedSource } from './context.ts';
import { divergenceFrom, leaderHasLess } from './divergence.ts';
import { type Effect, RESTART, type ServerRole } from './effects.ts';
import { inheritedVerdict } from './inherited-key.ts';
import { wasPrimary } from './last-life.ts';
import type { Outcome } from './rules/table.ts';
import { takeover } from './sync.ts';

/**
 * The cluster has not gone on without this stopped primary. As far as is known, no other node
 * acknowledged anything that its data lack.
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

/** Nothing has to be mended first before this node follows the server outside. */
const isComparable = (c: Context): boolean => !awaitsRemote(c) && divergenceFrom(c.o.pg, c.o.source) !== 'diverged';

/**
 * How to start a stopped server at an operator's request. Null: not yet, or something has to be
 * mended first, and the ordinary rules go on. A primary takes the leader key first, in a pause as
 * well, because what it wrote before the key was refused would be lost.
 */
export function startAs(c: Context): Outcome | null {
  const start = (role: ServerRole, ...before: readonly Effect[]): Outcome => ({
    effects: [...before, { kind: 'start-job', job: { kind: 'start', role, why: RESTART } }],
  });
  if (c.m.handedOver && readyLeader(c) === null) return null;
  if (c.followsRemote && c.lockMine) return isComparable(c) ? start({ kind: 'standby', source: wantedSource(c), leads: true }) : null;
  if (c.lockMine) {
    if (!c.mayLeadNow || c.o.pg.baseBackup !== undefined || (wasPrimary(c) && inheritedVerdict(c).kind !== 'lead')) return null;
    if (!wasPrimary(c)) return start({ kind: 'standby', source: null });
    const { names, effect } = takeover(c);
    return start({ kind: 'primary', syncNames: names }, ...(effect ? [effect] : []));
  }
  if (c.otherLeader !== null) {
    if (leaderHasLess(c)) return null;
    const divergence = divergenceFrom(c.o.pg, c.o.source);
    const unclear = wasPrimary(c) && (comparedWith(c) === null || divergence === 'unknown');
    return unclear || divergence === 'diverged' ? null : start({ kind: 'standby', source: wantedSource(c) });
  }
  if (!c.unlocked) return null;
  // Outside a pause the members compare their positions first.
  if (c.paused && wasPrimary(c) && isLatest(c) && !c.followsRemote) return { effects: [{ kind: 'acquire-leader' }], wakeInMs: 0 };
  return start({ kind: 'standby', source: null });
}
