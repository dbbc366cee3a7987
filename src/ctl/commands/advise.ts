import { adviceFacts } from '../../core/advice/facts.ts';
import { faultAdvice } from '../../core/advice/faults.ts';
import { deadNodeLine, fenceLine } from '../../core/advice/fence-line.ts';
import { type Improvement, improvements } from '../../core/advice/improvements.ts';
import { settingCosts } from '../../core/advice/setting-costs.ts';
import { failoverFenceBody } from '../../dialect/failover-fence.ts';
import { stringifyDefault } from '../../support/big-json.ts';
import { shellWord } from '../../support/shell-words.ts';
import type { Ctx } from '../context.ts';
import { dynamicOf } from '../dynamic-of.ts';
import { refuse } from '../errors.ts';
import { absenceOf } from '../members.ts';
import { type Advice, adviceObject, advicePretty } from '../render/advice.ts';
import { toYaml } from '../yaml.ts';

const TAKES_NO_WRITES = 'a standby cluster takes no writes: what is said of them holds once it is promoted';

/** From etcd alone: it also works while no agent answers. */
export async function run(ctx: Ctx, [name]: readonly string[], { format }: { readonly format: 'pretty' | 'json' | 'yaml' | 'yml' }) {
  const cluster = await ctx.cluster(name);
  const view = await ctx.read(cluster);
  const absence = await absenceOf(ctx, view, cluster);
  if (absence !== null) throw refuse(absence);
  const dynamic = dynamicOf(view);
  const facts = adviceFacts(view, dynamic);
  const advice: Advice = {
    cluster,
    lines: [...(dynamic.standbyCluster === null ? [] : [TAKES_NO_WRITES]), fenceLine(facts), deadNodeLine(facts)],
    fence: failoverFenceBody(view, dynamic),
    faults: faultAdvice(facts),
    settings: settingCosts(facts),
    improvements: improvements(facts).map((each) => ({ ...each, command: commandLine(ctx, cluster, each) })),
  };
  if (format === 'pretty') ctx.print(advicePretty(advice));
  else if (format === 'json') ctx.print(stringifyDefault(adviceObject(advice)));
  else ctx.print(toYaml(adviceObject(advice)));
}

function commandLine(ctx: Ctx, cluster: string, { command }: Improvement): string | null {
  if (command === null) return null;
  const [verb = '', ...rest] = command;
  return [ctx.called, ...[verb, cluster, ...rest].map(shellWord)].join(' ');
}
