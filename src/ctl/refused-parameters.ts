/**
 * Asks a member's PostgreSQL whether it accepts parameters, before they are stored for all members.
 */
import { changedParameters, PARAMETERS_KEYS } from '../config/changed-parameters.ts';
import type { ClusterView } from '../core/cluster.ts';
import { isJsonObject, parseJson } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import { type Ctx, leaderFirst, noAnswer } from './context.ts';

/**
 * Lines for the operator. `unasked` is null if a member could tell, else the reason why none could.
 */
export interface Refusals {
  readonly refused: readonly string[];
  /** Parameters for which the member that was asked has another value in its own file. */
  readonly overruled: readonly string[];
  readonly unasked: string | null;
}

/** Of all parameters that a change of the configuration brings, those of one role as well. */
export async function refusedParameters(ctx: Ctx, view: ClusterView, after: JsonObject, before: JsonObject): Promise<Refusals> {
  const all: Refusals[] = [];
  for (const key of PARAMETERS_KEYS) all.push(await refusedOf(ctx, view, changedParameters(after, before, key), key));
  return {
    refused: all.flatMap(({ refused }) => refused),
    // What a member's own file says for all roles gives way to what is said for one.
    overruled: all[0]?.overruled ?? [],
    unasked: all.find(({ unasked }) => unasked !== null)?.unasked ?? null,
  };
}

/**
 * The leader is asked first. A member that runs Patroni, or whose PostgreSQL is down, cannot tell.
 */
async function refusedOf(ctx: Ctx, view: ClusterView, parameters: Readonly<Record<string, string>>, key: string): Promise<Refusals> {
  if (Object.keys(parameters).length === 0) return { refused: [], overruled: [], unasked: null };
  const rest = await ctx.rest();
  const reasons: string[] = [];
  for (const member of leaderFirst(view)) {
    try {
      const { status, text } = await rest.call(member, 'POST', 'parameters', { body: parameters });
      if (status === 200) return { ...linesOf(text, member.name, key), unasked: null };
      reasons.push(`${member.name}: ${status === 501 ? 'does not know how' : `status code ${status}, ${text}`}`);
    } catch (error) {
      if (!noAnswer(error)) throw error;
      reasons.push(error.message);
    }
  }
  return { refused: [], overruled: [], unasked: reasons.length === 0 ? 'the cluster has no members' : reasons.join('; ') };
}

function linesOf(text: string, member: string, place: string): Pick<Refusals, 'refused' | 'overruled'> {
  const answer = parseJson(text);
  const entries = (key: string) => {
    const map = isJsonObject(answer) ? answer[key] : undefined;
    return isJsonObject(map) ? Object.entries(map) : [];
  };
  return {
    refused: entries('refused').map(([name, why]) => `postgresql.${place}.${name}: PostgreSQL refuses it: ${String(why)}`),
    overruled: entries('overruled').map(
      ([name, value]) =>
        `postgresql.${place}.${name}: ${member} has '${String(value)}' in its own configuration file, and that value applies there; remove it from that file`,
    ),
  };
}
