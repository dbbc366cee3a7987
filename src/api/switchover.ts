/**
 * POST /switchover and /failover, DELETE /switchover: the request goes into the failover key, and
 * the agents carry it out.
 */
import { type MemberRole, memberOf } from '../core/cluster.ts';
import type { FailoverRequest } from '../ports/dcs.ts';
import { DcsError, onlyOutage } from '../support/errors.ts';
import { isoFromEpochMs } from '../support/iso-time.ts';
import type { JsonObject } from '../support/json.ts';
import { type Answer, plain, refused, text } from './answer.ts';
import { type ApiContext, dcsOptions } from './context.ts';
import { type Action, readSwitchRequest, type SwitchRequest, switchProblem } from './switchover-request.ts';

/** Between two changes the key is read this often, because the agent's own watch may be broken. */
const RECHECK_MS = 2000;

/** The roles that the holder of the leader key reports once it serves as leader. */
const LEADING: ReadonlySet<string> = new Set<MemberRole>(['primary', 'standby_leader']);

export async function postSwitch(context: ApiContext, asked: Action, body: JsonObject, by: string): Promise<Answer> {
  const { operator } = context;
  const view = await operator.dcs().read(dcsOptions(context));
  const request = readSwitchRequest(context, asked, body, view);
  if ('status' in request) return request;
  if (request.scheduledAt === null) {
    const problem = await switchProblem(context, request, view);
    if (problem !== null) return refused(412, problem.message, problem.reason);
  }
  const writtenAtMs = context.clock.bootMs();
  const failure = await written(context, request, by);
  if (failure !== null) return refused(503, 'failed to write failover key into DCS', failure);
  operator.wake(`${request.action} requested`);
  if (request.scheduledAt !== null) return text(202, 'Switchover scheduled');
  return outcome(context, request, view.leader?.name ?? null, writtenAtMs);
}

export async function deleteSwitch(context: ApiContext): Promise<Answer> {
  const { operator } = context;
  const { failover } = await operator.dcs().read(dcsOptions(context));
  if (failover === null || failover.scheduledAt === null) return text(404, 'no switchover is scheduled');
  const cleared = await operator.dcs().writeFailover(null, failover, dcsOptions(context));
  return cleared ? text(200, 'scheduled switchover deleted') : text(409, 'somebody changed the switchover at the same moment; look again');
}

/** Null: it is. */
async function written(context: ApiContext, request: SwitchRequest, by: string): Promise<string | null> {
  const value: FailoverRequest = {
    ...(request.leader !== null && { leader: request.leader }),
    ...(request.candidate !== null && { member: request.candidate }),
    ...(request.scheduledAt !== null && { scheduled_at: request.scheduledAt }),
    ...(by !== '' && { requested_by: by }),
    requested_at: isoFromEpochMs(context.clock.wallMs()),
  };
  try {
    const done = await context.operator.dcs().writeFailover(value, null, dcsOptions(context));
    return done ? null : 'somebody changed it at the same moment; look again';
  } catch (error) {
    if (!(error instanceof DcsError)) throw error;
    context.log.error(`${request.action}: the failover key could not be written`, { error: error.message });
    return error.message;
  }
}

/**
 * Waits for events, never for a fixed time. It judges by its own reads, because these come after
 * its write. The agent's last view may be older and not show the request yet.
 */
async function outcome(context: ApiContext, request: SwitchRequest, before: string | null, writtenAtMs: number): Promise<Answer> {
  const { operator, clock } = context;
  const seconds = 2 * Math.max(10, operator.settings().dynamic.loopWaitSeconds);
  const deadline = clock.monotonicMs() + seconds * 1000;
  const [title, past] = request.action === 'switchover' ? ['Switchover', 'Switched'] : ['Failover', 'Failed'];
  for (let left = seconds * 1000; left > 0; left = deadline - clock.monotonicMs()) {
    // Listening starts before the read, so that a change during the read is not missed.
    const change = operator.nextChange(Math.min(left, RECHECK_MS));
    const view = await operator
      .dcs()
      .read({ timeoutMs: Math.min(left, dcsOptions(context).timeoutMs) })
      .catch(onlyOutage);
    const now = view?.leader?.name ?? null;
    if (view !== null && now !== null && now !== before && LEADING.has(memberOf(view, now)?.role ?? '')) {
      if (request.candidate !== null && request.candidate !== now) {
        return plain(200, `${past} over to "${now}" instead of "${request.candidate}"`);
      }
      return plain(200, `Successfully ${past.toLowerCase()} over to "${now}"`);
    }
    // While there is no leader, the handover may be between its two steps.
    if (view !== null && now !== null && now === before && view.failover === null) {
      return refused(503, `${title} failed`, reasonSince(context, writtenAtMs) ?? `the log of ${now} says why`);
    }
    await change;
  }
  return text(503, `${title} status unknown after ${seconds} seconds; operation may still be in progress`);
}

/**
 * Only the leader knows why it dropped the request, and the leader may be another node than the one
 * that was asked.
 */
function reasonSince({ operator }: ApiContext, writtenAtMs: number): string | null {
  const dropped = operator.droppedRequest();
  return dropped !== null && dropped.atMs >= writtenAtMs ? dropped.because : null;
}
