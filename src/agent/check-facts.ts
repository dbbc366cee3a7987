/**
 * What health checks look at, cheap enough to ask for at every check. What depends on the clock is
 * judged anew each time; the rest is put together again when a round, the authority, the settings
 * or a job's sign have changed it.
 */
import { leads } from '../core/authority.ts';
import type { ClusterView } from '../core/cluster.ts';
import { contextOf } from '../core/context.ts';
import type { Clock } from '../ports/clock.ts';
import type { CheckFacts } from '../ports/operator.ts';
import type { SettingsSource } from '../ports/settings.ts';
import type { AgentView } from './agent-view.ts';
import { leadership, NO_LEADERSHIP } from './leadership.ts';
import type { LastRound } from './rounds.ts';

export interface CheckPorts {
  readonly clock: Pick<Clock, 'bootMs'>;
  readonly settings: Pick<SettingsSource, 'current'>;
}

/** The last view of the cluster; null when etcd has not been read for a ttl. */
export function freshView({ clock, settings }: CheckPorts, { rounds }: Pick<AgentView, 'rounds'>): ClusterView | null {
  const dcs = rounds.last?.observation.dcs;
  const { lastRead } = rounds;
  const ttlMs = settings.current().dynamic.ttlSeconds * 1000;
  if (!dcs?.known || lastRead === null || clock.bootMs() - lastRead.atMs > ttlMs) return null;
  return dcs.view;
}

/** Returns OperatorPort.checkFacts of this agent. */
export function checkFactsOf(ports: CheckPorts, agent: Pick<AgentView, 'rounds' | 'authority' | 'beats' | 'job'>): () => CheckFacts {
  const { clock, settings } = ports;
  let round: LastRound | null = null;
  let lead = NO_LEADERSHIP;
  let kept: CheckFacts | null = null;
  return () => {
    const { last, memory } = agent.rounds;
    const changed = last !== round;
    if (changed) {
      round = last;
      lead = last === null ? NO_LEADERSHIP : leadership(contextOf(last.observation, memory), memory);
    }
    const isLeader =
      lead.serves && !agent.job.isStopping && !agent.beats.isIsolated() && (lead.held || leads(agent.authority.now, clock.bootMs()));
    const view = freshView(ports, agent);
    const now = settings.current();
    if (kept === null || changed || kept.status.isLeader !== isLeader || kept.view !== view || kept.settings !== now) {
      const pg = last?.observation.pg ?? null;
      const status = {
        name: now.local.name,
        state: memory.state,
        role: memory.role,
        sql: pg?.state === 'running' ? pg.sql : null,
        isLeader,
        paused: now.dynamic.pause,
      };
      kept = { status, view, settings: now };
    }
    return kept;
  };
}
