/** The agent's side of the REST server (ports/operator.ts). */
import { memberOf } from '../core/cluster.ts';
import type { Facts, OperatorPort } from '../ports/operator.ts';
import type { Agent } from './agent.ts';
import { checkFactsOf, freshView } from './check-facts.ts';
import { statusNow, statusOf } from './status.ts';

const JUDGE_MS = 5000;

export function operatorPort(agent: Agent): OperatorPort {
  const { parts, requests } = agent;
  return {
    status: () => statusOf(parts, agent),
    statusNow: () => statusNow(parts, agent),
    freshFacts: () => freshFacts(agent),
    checkFacts: checkFactsOf(parts, agent),
    settings: () => parts.settings.current(),
    view: () => freshView(agent.parts, agent),
    failsafeMap: () => agent.failsafe.map,
    askedForFailsafe: (body) => agent.failsafe.asked(body),
    dcs: () => parts.dcs,
    wake: () => agent.wake.now(),
    restart: (request) => requests.restart(request),
    scheduleRestart: (data, request, atMs) => requests.schedule(data, request, atMs),
    deleteScheduledRestart: () => requests.deleteScheduled(),
    reinitialize: (options) => requests.reinitialize(options),
    reload: () => {
      const preview = parts.settings.previewReload?.() ?? { refusal: null, waiting: [] };
      if (preview.refusal === null) agent.reload();
      return preview;
    },
    judgeParameters: (parameters) => parts.pg.judgeParameters(parameters, { timeoutMs: JUDGE_MS }),
    droppedRequest: () => agent.rounds.droppedRequest,
    nextChange: (timeoutMs) => nextChange(agent, timeoutMs),
  };
}

async function freshFacts(agent: Agent): Promise<Facts> {
  const { parts, fresh } = agent;
  const [pg, view] = await Promise.all([fresh.pg(), fresh.view(freshView(parts, agent))]);
  return { status: statusOf(parts, agent, pg), view, settings: parts.settings.current() };
}

const mark = (agent: Agent): string => {
  const view = freshView(agent.parts, agent);
  const leader = view?.leader ?? null;
  const role = view !== null && leader !== null ? (memberOf(view, leader.name)?.role ?? '') : '';
  return `${leader?.name ?? ''} ${leader?.modRevision ?? ''} ${role} ${view?.failover?.modRevision ?? ''}`;
};

function nextChange(agent: Agent, timeoutMs: number): Promise<void> {
  const before = mark(agent);
  return new Promise((resolve) => {
    const done = () => {
      stopListening();
      cancel();
      resolve();
    };
    const cancel = agent.parts.clock.timer(timeoutMs, done);
    const stopListening = agent.rounds.onEnd(() => {
      if (mark(agent) !== before) done();
    });
  });
}
