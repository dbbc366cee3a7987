/** Members that would create a permanent logical slot again if they were promoted. */
import { type ClusterView, type Member, memberOf } from '../core/cluster.ts';
import type { DynamicSettings } from '../core/settings.ts';
import { ownFacts } from '../dialect/own-word.ts';
import { isJsonObject, parseJson } from '../support/big-json.ts';
import { ensureError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import type { Ctx } from './context.ts';
import { dynamicOf } from './dynamic-of.ts';

const MEMBER_MS = 3000;

/** `own`: Regent's own facts of GET /patroni. Null: it does not tell, as Patroni does not. */
export function missingSlotsOf(own: JsonObject): readonly string[] | null {
  const told = own['missing_logical_slots'];
  return Array.isArray(told) ? told.map(String) : null;
}

export function lackedSlots(member: string, slots: readonly string[]): string {
  const [what, they] = slots.length === 1 ? ['slot', 'it is'] : ['slots', 'they are'];
  const whose = slots.length === 1 ? 'its consumer misses' : 'their consumers miss';
  return `${member} has no copy of the permanent logical ${what} ${slots.join(', ')}: if it is promoted, ${they} created again, and ${whose} what was written meanwhile`;
}

export function logicalNames(slots: DynamicSettings['slots']): readonly string[] {
  return Object.entries(slots).flatMap(([name, { type }]) => (type === 'logical' ? [name] : []));
}

/** Of each member that may be promoted now. A cluster without such slots asks nobody. */
export async function slotWarnings(ctx: Ctx, view: ClusterView, names: readonly string[]): Promise<readonly string[]> {
  const logical = logicalNames(dynamicOf(view).slots);
  if (logical.length === 0) return [];
  const members = names.flatMap((name) => memberOf(view, name) ?? []);
  const warnings = await Promise.all(
    members.map(async (member) => {
      const { missing, why } = await askMissing(ctx, member);
      if (missing === null) return `whether ${member.name} has a copy of ${logical.join(', ')} (permanent, logical) is not known: ${why}`;
      return missing.length === 0 ? null : lackedSlots(member.name, missing);
    }),
  );
  return warnings.filter((text) => text !== null);
}

async function askMissing(ctx: Ctx, member: Member): Promise<{ readonly missing: readonly string[] | null; readonly why: string }> {
  try {
    const body = parseJson((await (await ctx.rest()).call(member, 'GET', 'patroni', { timeoutMs: MEMBER_MS })).text);
    const missing = isJsonObject(body) ? missingSlotsOf(ownFacts(body)) : null;
    return { missing, why: 'it does not tell (it runs Patroni, or an older Regent)' };
  } catch (error) {
    return { missing: null, why: ensureError(error).message };
  }
}
