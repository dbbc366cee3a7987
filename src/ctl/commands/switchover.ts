import type { Ctx } from '../context.ts';
import { type HandoverOptions, handOver } from '../handover.ts';

export function run(ctx: Ctx, [name]: readonly string[], options: HandoverOptions): Promise<number> {
  return handOver(ctx, 'switchover', name, options);
}
