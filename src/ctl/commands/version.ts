import { type Member, memberOf } from '../../core/cluster.ts';
import { isJsonObject, parseJson } from '../../support/big-json.ts';
import { ensureError } from '../../support/errors.ts';
import { DIALECT_VERSION, REGENT_VERSION } from '../../version.ts';
import type { Ctx } from '../context.ts';
import { strangerText, warnOfAbsence } from '../members.ts';
import type { RestClient } from '../rest.ts';

export async function run(ctx: Ctx, [cluster, ...names]: readonly string[]): Promise<number> {
  const own = isPatronictl(ctx) ? DIALECT_VERSION : REGENT_VERSION;
  ctx.print(`${ctx.program} version ${own}`);
  if (cluster === undefined) return 0;
  ctx.print('');
  const view = await ctx.read(cluster);
  const rest = await ctx.rest();
  const members = view.members.filter((member) => member.apiUrl !== null && (names.length === 0 || names.includes(member.name)));
  for (const line of await Promise.all(members.map((member) => describe(ctx, rest, member)))) ctx.print(line);
  const [stranger] = names.filter((name) => memberOf(view, name) === null);
  if (await warnOfAbsence(ctx, view, cluster)) return 1;
  if (stranger === undefined) return 0;
  ctx.io.stderr.write(`${strangerText(view, cluster, stranger)}\n`);
  return 1;
}

/** Its lines are read by scripts: they hold nothing that Patroni's do not. */
const isPatronictl = ({ program }: Ctx) => program === 'patronictl';

async function describe(ctx: Ctx, rest: RestClient, member: Member): Promise<string> {
  try {
    const answer = parseJson((await rest.call(member, 'GET', 'patroni')).text);
    const body = isJsonObject(answer) ? answer : {};
    const patroni = isJsonObject(body['patroni']) ? body['patroni'] : {};
    const regent = isJsonObject(body['regent']) ? body['regent']['version'] : undefined;
    const server = body['server_version'];
    const postgres = typeof server === 'number' ? ` PostgreSQL ${serverVersion(server)}` : '';
    return `${member.name}: Patroni ${patroni['version']}${postgres}${typeof regent === 'string' && !isPatronictl(ctx) ? ` (Regent ${regent})` : ''}`;
  } catch (error) {
    return `${member.name}: failed to get version: ${ensureError(error).message}`;
  }
}

/** server_version_num in words: 150004 is 15.4, 90624 is 9.6.24. */
function serverVersion(number: number): string {
  if (number >= 100_000) return `${Math.floor(number / 10_000)}.${number % 10_000}`;
  return `${Math.floor(number / 10_000)}.${Math.floor(number / 100) % 100}.${number % 100}`;
}
