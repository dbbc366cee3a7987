import type { Ctx } from '../context.ts';
import { setPause } from '../maintenance.ts';

export function run(ctx: Ctx, [name]: readonly string[], options: { readonly wait?: boolean }): Promise<number> {
  return setPause(ctx, name, false, options.wait ?? false);
}
