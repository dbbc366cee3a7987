import type { Ctx } from '../context.ts';
import { type HandoverOptions, handOver } from '../handover.ts';

/** `--primary` and `--master` are older and newer names of `--leader`. */
export type SwitchoverOptions = HandoverOptions & { readonly primary?: string; readonly master?: string };

export function run(ctx: Ctx, [name]: readonly string[], options: SwitchoverOptions): Promise<number> {
  const leader = options.leader ?? options.primary ?? options.master;
  return handOver(ctx, 'switchover', name, leader === undefined ? options : { ...options, leader });
}
