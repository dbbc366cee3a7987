import { electionHindrance, electionMend, electionOf } from '../../core/advice/election.ts';
import { adviceFacts } from '../../core/advice/facts.ts';
import { faultAdvice } from '../../core/advice/faults.ts';
import { deadNodeLine, fenceLine } from '../../core/advice/fence-line.ts';
import { type Improvement, improvements } from '../../core/advice/improvements.ts';
import { settingCosts } from '../../core/advice/setting-costs.ts';
import { standbyClusterLine } from '../../core/advice/standby-line.ts';
import type { ClusterView } from '../../core/cluster.ts';
import { failoverFenceBody } from '../../dialect/failover-fence.ts';
import { stringifyDefault } from '../../support/big-json.ts';
import { shellWord } from '../../support/shell-words.ts';
import type { Ctx } from '../context.ts';
import { dynamicOf } from '../dynamic-of.ts';
import { refuse } from '../errors.ts';
import { absenceOf } from '../members.ts';
import { type Advice, adviceObject, advicePretty } from '../render/advice.ts';
import { toYaml } from '../yaml.ts';

const ONCE_PROMOTED = 'What is said of writes below holds once it is promoted.';

/** From etcd alone: it also works while no agent answers. */
export async function run(ctx: Ctx, [name]: readonly string[], { format }: { readonly format: 'pretty' | 'json' | 'yaml' | 'yml' }) {
  const cluster = await ctx.cluster(name);
  const view = await ctx.read(cluster);
  const absence = await absenceOf(ctx, view, cluster);
  if (absence !== null) throw refuse(absence);
  const dynamic = dynamicOf(view);
  const facts = adviceFacts(view, dynamic);
  const standby = standbyClusterLine(view, dynamic, cluster, ctx.called);
  const isLed = view.leader !== null;
  const advice: Advice = {
    cluster,
    lines: [...(standby === null ? [] : [standby, ONCE_PROMOTED]), ...(isLed ? [fenceLine(facts), deadNodeLine(facts)] : [])],
    leaderless: isLed ? [] : leaderless(ctx, cluster, view),
    fence: failoverFenceBody(view, dynamic),
    // What a fault costs, and what would help, hangs on who leads and which standbys confirm.
    faults: isLed ? faultAdvice(facts) : [],
    settings: settingCosts(facts),
    improvements: (isLed ? improvements(facts) : []).map((each) => ({ ...each, command: commandLine(ctx, cluster, each) })),
  };
  if (format === 'pretty') ctx.print(advicePretty(advice));
  else if (format === 'json') ctx.print(stringifyDefault(adviceObject(advice)));
  else ctx.print(toYaml(adviceObject(advice)));
}

/** Nobody can write: what that waits for. */
function leaderless(ctx: Ctx, cluster: string, view: ClusterView): readonly string[] {
  const election = electionOf(view, dynamicOf(view), ({ state }) => state === 'running');
  const hindrance = electionHindrance(election);
  if (hindrance === null) return ['Nobody leads now, so nobody can write: a leader is being elected'];
  const typed = (verb: string, words = '') => `${ctx.called} ${verb} ${shellWord(cluster)}${words}`;
  const mend = electionMend(election);
  return [
    `Nobody leads now, so nobody can write: ${hindrance}`,
    ...(election.dynamic.pause ? [`To have one elected: ${typed('resume')}`] : []),
    ...(mend === null ? [] : [`To lose nothing, ${mend}`]),
    `To name one, at a cost that is told before: ${typed('failover', ' --candidate MEMBER')}`,
  ];
}

function commandLine(ctx: Ctx, cluster: string, { command }: Improvement): string | null {
  if (command === null) return null;
  const [verb = '', ...rest] = command;
  return [ctx.called, ...[verb, cluster, ...rest].map(shellWord)].join(' ');
}
