import type { Member } from '../../core/cluster.ts';
import { sleep } from '../../ports/clock.ts';
import { isJsonObject, parseJson } from '../../support/big-json.ts';
import { type Ctx, noAnswer } from '../context.ts';
import { Aborted, refuse } from '../errors.ts';
import { memberRequests } from '../member-requests.ts';
import { selectMembers, targetOf } from '../members.ts';
import type { RestClient } from '../rest.ts';

export interface ReinitOptions {
  readonly force?: boolean;
  readonly fromLeader?: boolean;
  readonly wait?: boolean;
}

const POLL_MS = 2_000;
/** A copy of terabytes takes a day; a member that has not said anything for this long has something else. */
const SILENT_MS = 600_000;

export async function run(ctx: Ctx, words: readonly string[], options: ReinitOptions): Promise<number> {
  const target = await targetOf(ctx, words);
  const force = options.force ?? false;
  const members = await selectMembers(ctx, target, { role: 'replica', force, action: 'reinitialize', confirm: true });
  if (members.length === 0) throw refuse('Name the member to reinitialize: --force does not ask for it');
  const rest = await ctx.rest();
  const started: Member[] = [];
  const exitCode = await memberRequests(ctx, members, 'reinitialize', async (member) => {
    let forced = force;
    for (;;) {
      const body = { force: forced, from_leader: options.fromLeader ?? false };
      const answer = await rest.call(member, 'POST', 'reinitialize', { body });
      if (answer.status === 200) {
        started.push(member);
        return `Success: reinitialize for member ${member.name}`;
      }
      if (forced || !answer.text.endsWith(' already in progress')) return answer;
      ctx.print(`Failed: reinitialize for member ${member.name}, status code=${answer.status}, (${answer.text})`);
      if (!(await ctx.prompter.confirm('Do you want to cancel it and reinitialize anyway?'))) return `Not reinitialized: ${member.name}`;
      forced = true;
    }
  });
  if (options.wait) await waitFor(ctx, rest, started);
  return exitCode;
}

async function waitFor(ctx: Ctx, rest: RestClient, members: readonly Member[]): Promise<void> {
  let waiting = [...members];
  let shown = '';
  const lastHeard = new Map(members.map((member) => [member.name, ctx.io.clock.monotonicMs()]));
  while (waiting.length > 0) {
    const names = waiting.map((member) => member.name).join(', ');
    if (names !== shown) ctx.print(`Waiting for reinitialize to complete on: ${names}`);
    shown = names;
    await sleep(ctx.io.clock, POLL_MS, ctx.io.signal);
    if (ctx.io.signal.aborted) throw new Aborted();
    const states = await Promise.all(waiting.map((member) => stateOf(rest, member)));
    const now = ctx.io.clock.monotonicMs();
    waiting = waiting.filter((member, index) => {
      const state = states[index];
      if (state !== null) lastHeard.set(member.name, now);
      if (state === null) {
        if (now - (lastHeard.get(member.name) ?? now) > SILENT_MS)
          throw refuse(`${member.name} has not answered for ${SILENT_MS / 60_000} minutes`);
        return true;
      }
      if (state === 'creating replica') return true;
      ctx.print(`Reinitialize is completed on: ${member.name}`);
      return false;
    });
  }
}

/** null: no answer, which during a new start is nothing unusual. */
async function stateOf(rest: RestClient, member: Member): Promise<string | null> {
  try {
    const body = parseJson((await rest.call(member, 'GET', 'patroni')).text);
    return isJsonObject(body) ? String(body['state']) : null;
  } catch (error) {
    if (noAnswer(error) || (error instanceof Error && 'code' in error && error.code === 'JSON_INVALID')) return null;
    throw error;
  }
}
