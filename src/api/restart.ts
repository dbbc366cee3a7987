/** POST and DELETE /restart. */
import { parseInteger } from '../config/values.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import type { RestartRequest } from '../ports/operator.ts';
import { onlyOutage } from '../support/errors.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { type Answer, plain, refused, text } from './answer.ts';
import { type ApiContext, dcsOptions } from './context.ts';
import { parseSchedule, type Schedule } from './schedule.ts';

type Role = NonNullable<RestartRequest['role']>;

interface AskedRestart {
  readonly request: RestartRequest;
  readonly schedule: Extract<Schedule, { ok: true }> | null;
}

export async function postRestart(context: ApiContext, body: JsonObject): Promise<Answer> {
  const { operator } = context;
  const asked = await readRestart(context, body);
  if ('status' in asked) return asked;
  if (asked.schedule === null) {
    const outcome = await operator.restart(asked.request);
    return outcome.ok ? text(200, outcome.message) : refused(outcome.status, outcome.message, outcome.reason ?? null);
  }
  const schedule: JsonObject = { ...body, schedule: asked.schedule.iso };
  const startedAt = operator.status().sql?.postmasterStartTime;
  if (startedAt !== undefined) schedule['postmaster_start_time'] = startedAt;
  if (!operator.scheduleRestart(schedule, asked.request, asked.schedule.atMs)) return text(409, 'Another restart is already scheduled');
  operator.wake('restart scheduled');
  return text(202, 'Restart scheduled');
}

export function deleteRestart({ operator }: ApiContext): Answer {
  if (!operator.deleteScheduledRestart()) return text(404, 'no restarts are scheduled');
  operator.wake('scheduled restart deleted');
  return text(200, 'scheduled restart deleted');
}

/** Keys are checked in the order given. The first bad one decides the answer. */
async function readRestart(context: ApiContext, body: JsonObject): Promise<AskedRestart | Answer> {
  let request: RestartRequest = {};
  let schedule: AskedRestart['schedule'] = null;
  for (const [key, value] of Object.entries(body)) {
    switch (key) {
      case 'schedule': {
        if (await isPaused(context)) return text(500, "Can't schedule restart in the paused state");
        const parsed = parseSchedule(value, 'restart', context.clock.wallMs());
        if (!parsed.ok) return text(parsed.status, parsed.message);
        schedule = parsed;
        break;
      }
      case 'role':
        if (!isRole(value)) return text(400, 'PostgreSQL role should be either primary, standby_leader, or replica');
        request = { ...request, role: value };
        break;
      case 'postgres_version': {
        const problem = versionProblem(value);
        if (problem !== null) return plain(400, problem);
        request = { ...request, postgresVersion: String(value) };
        break;
      }
      case 'timeout': {
        const seconds = parseInteger(value, 's');
        if (seconds === null || seconds <= 0) return text(400, 'Timeout should be a positive number of seconds');
        request = { ...request, timeoutSeconds: seconds };
        break;
      }
      case 'restart_pending':
        // The key alone asks for it. Patroni does not look at the value either.
        request = { ...request, restartPending: true };
        break;
      default:
        return plain(400, `Unknown filter for the scheduled restart: ${key}`);
    }
  }
  return { request, schedule };
}

/** As etcd has it now: the agent's last read may be from before the pause or its end. */
async function isPaused(context: ApiContext): Promise<boolean> {
  const view = await context.operator.dcs().read(dcsOptions(context)).catch(onlyOutage);
  return view === null ? context.operator.status().paused : clusterModes(view).paused;
}

function isRole(value: JsonValue): value is Role {
  return value === 'primary' || value === 'standby_leader' || value === 'replica';
}

/** Two numbers for 10 and newer, three before that; the wording is Patroni's. */
function versionProblem(value: JsonValue): string | null {
  const shown = typeof value === 'object' ? 'not a text' : String(value);
  const parts = shown.split('.');
  if (!parts.every((part) => /^[0-9]{1,6}$/.test(part))) return `Invalid PostgreSQL version: ${shown}`;
  const complete = parts.length === 3 || (parts.length === 2 && Number(parts[0]) >= 10);
  return complete ? null : `Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: ${shown}`;
}
