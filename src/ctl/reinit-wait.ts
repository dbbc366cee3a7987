/** `reinit --wait`: waits until the requested jobs have ended, and reports the result of each. */
import type { Member } from '../core/cluster.ts';
import { ownFacts } from '../dialect/own-word.ts';
import { isJsonObject, parseJson } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import { type Ctx, noAnswer } from './context.ts';
import { failed, succeeded, type Told } from './member-requests.ts';
import type { RestClient } from './rest.ts';

export interface Started {
  readonly member: Member;
  /**
   * The job's id as the member gave it. Null: the member does not run Regent, so only its state
   * tells.
   */
  readonly job: string | null;
}

const POLL_MS = 2_000;
/**
 * A copy of terabytes takes a day. A member that has not answered for this long is not busy
 * copying.
 */
const SILENT_MS = 600_000;
/** States on the way to a copy, and the state of a server that somebody has stopped for good. */
const DOWN: ReadonlySet<string> = new Set(['stopping', 'stopped']);

/** False: one of them failed, or its result is unknown. */
export async function awaitReinitialized(ctx: Ctx, rest: RestClient, started: readonly Started[]): Promise<boolean> {
  let waiting = [...started];
  let allDone = true;
  let shown = '';
  const { clock } = ctx.io;
  const heardAtMs = new Map(started.map(({ member }) => [member.name, clock.monotonicMs()]));
  while (waiting.length > 0) {
    const names = waiting.map(({ member }) => member.name).join(', ');
    if (names !== shown) ctx.print(`Waiting for reinitialize to complete on: ${names}`);
    shown = names;
    await ctx.wait(POLL_MS);
    const bodies = await Promise.all(waiting.map(({ member }) => statusOf(rest, member)));
    const nowMs = clock.monotonicMs();
    waiting = waiting.filter((one, index) => {
      const body = bodies[index] ?? null;
      const { name } = one.member;
      if (body !== null && !DOWN.has(String(body['state']))) heardAtMs.set(name, nowMs);
      const told = (body && outcomeOf(one, body)) ?? silence(name, nowMs - (heardAtMs.get(name) ?? nowMs));
      if (told === null) return true;
      ctx.print(told.line);
      allDone &&= told.ok;
      return false;
    });
  }
  return allDone;
}

function silence(name: string, silentMs: number): Told | null {
  if (silentMs <= SILENT_MS) return null;
  return failed(`Reinitialize result unknown on: ${name} (no answer, or PostgreSQL down, for ${SILENT_MS / 60_000} minutes)`);
}

/** Null: it is still running. */
function outcomeOf({ member: { name }, job }: Started, body: JsonObject): Told | null {
  if (job === null) return byState(name, String(body['state']));
  const told = ownFacts(body)['reinitialize'];
  const now = isJsonObject(told) ? told : {};
  if (now['job'] === job) {
    if (now['state'] === 'done') return succeeded(`Reinitialize is completed on: ${name}`);
    if (now['state'] !== 'failed') return null;
    return failed(`Reinitialize failed on: ${name} (${String(now['reason'] ?? 'its log says why')})`);
  }
  const why = now['job'] === undefined ? 'its agent has been restarted since' : 'another reinitialize was requested since';
  return failed(`Reinitialize result unknown on: ${name} (${why}; list shows how it is now)`);
}

/** A member that runs Patroni tells only the state of its PostgreSQL. */
function byState(name: string, state: string): Told | null {
  if (state === 'creating replica' || DOWN.has(state)) return null;
  if (state === 'running' || state === 'starting') return succeeded(`Reinitialize is completed on: ${name}`);
  return failed(`Reinitialize failed on: ${name} (its PostgreSQL is ${state})`);
}

/** Null: no answer. That is usual while an agent restarts. */
async function statusOf(rest: RestClient, member: Member): Promise<JsonObject | null> {
  try {
    const body = parseJson((await rest.call(member, 'GET', 'patroni')).text);
    return isJsonObject(body) ? body : null;
  } catch (error) {
    if (noAnswer(error) || (error instanceof Error && 'code' in error && error.code === 'JSON_INVALID')) return null;
    throw error;
  }
}
