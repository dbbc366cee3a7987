import { adviceFacts } from '../../core/advice/facts.ts';
import { deadNodeLine, fenceLine } from '../../core/advice/fence-line.ts';
import type { Ctx } from '../context.ts';
import { dynamicOf } from '../dynamic-of.ts';
import { warnOfAbsence } from '../members.ts';
import { toYaml } from '../yaml.ts';

export async function run(ctx: Ctx, [name]: readonly string[]): Promise<number> {
  const cluster = await ctx.cluster(name);
  const view = await ctx.read(cluster);
  if (view.config === null) return (await warnOfAbsence(ctx, view, cluster)) ? 1 : 0;
  ctx.print(toYaml(view.config.data));
  // A file or a program gets the settings alone.
  if (!ctx.io.stdout.isTTY) return 0;
  const facts = adviceFacts(view, dynamicOf(view));
  ctx.print(`# ${fenceLine(facts)}\n# ${deadNodeLine(facts)}`);
  return 0;
}
