import { adviceFacts } from '../../core/advice/facts.ts';
import { deadNodeLine, fenceLine } from '../../core/advice/fence-line.ts';
import type { Ctx } from '../context.ts';
import { dynamicOf } from '../dynamic-of.ts';
import { existing } from '../members.ts';
import { toYaml } from '../yaml.ts';

export async function run(ctx: Ctx, [name]: readonly string[]): Promise<void> {
  const view = await existing(ctx, await ctx.cluster(name));
  if (view.config === null) return;
  ctx.print(toYaml(view.config.data));
  // A file or a program gets the settings alone.
  if (!ctx.io.stdout.isTTY) return;
  const facts = adviceFacts(view, dynamicOf(view));
  ctx.print(`# ${fenceLine(facts)}\n# ${deadNodeLine(facts)}`);
}
