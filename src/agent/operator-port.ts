/** The agent's side of the REST server (ports/operator.ts). */
import { parseInteger } from '../config/values.ts';
import { memberOf } from '../core/cluster.ts';
import type { OperatorPort, RestartRequest } from '../ports/operator.ts';
import type { Agent } from './agent.ts';
import { checkFactsOf, freshView } from './check-facts.ts';
import { statusNow, statusOf } from './status.ts';

const JUDGE_MS = 5000;

export function operatorPort(agent: Agent): OperatorPort {
  const { parts, requests } = agent;
  return {
    status: () => statusOf(parts, agent),
    statusNow: () => statusNow(parts, agent),
    checkFacts: checkFactsOf(parts, agent),
    settings: () => parts.settings.current(),
    view: () => freshView(agent.parts, agent),
    failsafeMap: () => agent.failsafe.map,
    askedForFailsafe: (body) => agent.failsafe.asked(body),
    dcs: () => parts.dcs,
    wake: () => agent.wake.now(),
    restart: (request) => requests.restart(request),
    scheduleRestart: (data, atMs) => requests.schedule(data, conditionsOf(data), atMs),
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

function conditionsOf(data: Readonly<Record<string, unknown>>): RestartRequest {
  const role = data['role'];
  const version = data['postgres_version'];
  const timeout = data['timeout'] === undefined ? null : parseInteger(data['timeout'], 's');
  return {
    ...(role === 'primary' || role === 'replica' || role === 'standby_leader' ? { role } : {}),
    ...(typeof version === 'string' ? { postgresVersion: version } : {}),
    ...('restart_pending' in data ? { restartPending: true } : {}),
    ...(timeout === null ? {} : { timeoutSeconds: timeout }),
  };
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
