import type { Format } from '../choices.ts';
import type { Ctx } from '../context.ts';
import { warnOfAbsence } from '../members.ts';
import { type Rows, renderRows } from '../render/output.ts';

export async function run(ctx: Ctx, [name]: readonly string[], options: { readonly format: Format }): Promise<number> {
  const cluster = await ctx.cluster(name);
  const view = await ctx.read(cluster);
  const table: Rows = {
    columns: [
      { name: 'TL', align: 'right' },
      { name: 'LSN', align: 'right' },
      { name: 'Reason' },
      { name: 'Timestamp' },
      { name: 'New Leader' },
    ],
    rows: view.history.map((entry) => [
      entry.timeline,
      Number.isSafeInteger(Number(entry.switchLsn)) ? Number(entry.switchLsn) : entry.switchLsn,
      entry.reason,
      entry.timestamp ?? '',
      entry.newLeader ?? '',
    ]),
    title: null,
  };
  ctx.print(renderRows(table, options.format, { oneLine: true }));
  return (await warnOfAbsence(ctx, view, cluster)) ? 1 : 0;
}
