/** Asking a member's PostgreSQL about parameters before they are stored for all. */
import type { ClusterView } from '../core/cluster.ts';
import { isJsonObject, parseJson } from '../support/big-json.ts';
import { type Ctx, leaderFirst, noAnswer } from './context.ts';

/** Lines for the operator. `asked` null: no member could tell, and why. */
export interface Refusals {
  readonly refused: readonly string[];
  readonly unasked: string | null;
}

/** The leader is asked first; a member that runs Patroni, or whose PostgreSQL is down, cannot tell. */
export async function refusedParameters(ctx: Ctx, view: ClusterView, parameters: Readonly<Record<string, string>>): Promise<Refusals> {
  if (Object.keys(parameters).length === 0) return { refused: [], unasked: null };
  const rest = await ctx.rest();
  const reasons: string[] = [];
  for (const member of leaderFirst(view)) {
    try {
      const { status, text } = await rest.call(member, 'POST', 'parameters', { body: parameters });
      if (status === 200) return { refused: linesOf(text), unasked: null };
      reasons.push(`${member.name}: ${status === 501 ? 'does not know how' : `status code ${status}, ${text}`}`);
    } catch (error) {
      if (!noAnswer(error)) throw error;
      reasons.push(error.message);
    }
  }
  return { refused: [], unasked: reasons.length === 0 ? 'the cluster has no members' : reasons.join('; ') };
}

function linesOf(text: string): string[] {
  const answer = parseJson(text);
  const refused = isJsonObject(answer) && isJsonObject(answer['refused']) ? answer['refused'] : {};
  return Object.entries(refused).map(([name, why]) => `postgresql.parameters.${name}: PostgreSQL refuses it: ${String(why)}`);
}
