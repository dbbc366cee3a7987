import type { Ctx } from '../context.ts';
import type { WatchOptions } from '../watch.ts';
import { run as list } from './list.ts';

export function run(ctx: Ctx, names: readonly string[], options: WatchOptions & { readonly lsn?: boolean }): Promise<number> {
  return list(ctx, names, { ...options, format: 'topology' });
}
