import { type Member, memberOf } from '../../core/cluster.ts';
import { isJsonObject, parseJson } from '../../support/big-json.ts';
import { ensureError } from '../../support/errors.ts';
import { DIALECT_VERSION, REGENT_VERSION } from '../../version.ts';
import type { Ctx } from '../context.ts';
import { existing, noSuchMember } from '../members.ts';
import type { RestClient } from '../rest.ts';

export async function run(ctx: Ctx, [cluster, ...names]: readonly string[]): Promise<void> {
  const own = ctx.program === 'patronictl' ? `${DIALECT_VERSION} (Regent ${REGENT_VERSION})` : REGENT_VERSION;
  ctx.print(`${ctx.program} version ${own}`);
  if (cluster === undefined) return;
  ctx.print('');
  const view = await existing(ctx, cluster);
  const unknown = names.find((name) => memberOf(view, name) === null);
  if (unknown !== undefined) throw noSuchMember(view, cluster, unknown);
  const rest = await ctx.rest();
  const members = view.members.filter((member) => member.apiUrl !== null && (names.length === 0 || names.includes(member.name)));
  for (const line of await Promise.all(members.map((member) => describe(rest, member)))) ctx.print(line);
}

async function describe(rest: RestClient, member: Member): Promise<string> {
  try {
    const answer = parseJson((await rest.call(member, 'GET', 'patroni')).text);
    const body = isJsonObject(answer) ? answer : {};
    const patroni = isJsonObject(body['patroni']) ? body['patroni'] : {};
    const regent = isJsonObject(body['regent']) ? body['regent']['version'] : undefined;
    const server = body['server_version'];
    const postgres = typeof server === 'number' ? ` PostgreSQL ${serverVersion(server)}` : '';
    return `${member.name}: Patroni ${patroni['version']}${postgres}${typeof regent === 'string' ? ` (Regent ${regent})` : ''}`;
  } catch (error) {
    return `${member.name}: failed to get version: ${ensureError(error).message}`;
  }
}

/** server_version_num in words: 150004 is 15.4, 90624 is 9.6.24. */
function serverVersion(number: number): string {
  if (number >= 100_000) return `${Math.floor(number / 10_000)}.${number % 10_000}`;
  return `${Math.floor(number / 10_000)}.${Math.floor(number / 100) % 100}.${number % 100}`;
}
