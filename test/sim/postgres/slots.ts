/** What a server makes of a plan for its replication slots. */
import { lagBytes } from '../../../src/core/units.ts';
import type { Postgres } from '../../../src/ports/postgres.ts';
import type { SimServer } from '../server.ts';
import { transient } from './transfer.ts';

export function syncSlots(server: SimServer, plan: Parameters<Postgres['syncSlots']>[0]): void {
  const { slots, checkpoint, position, replayLsn, inRecovery } = server;
  const reached = inRecovery ? replayLsn : position.lsn;
  const active = (name: string) =>
    server.replication.senders().some(({ standby, stranger }) => stranger !== true && standby.live.slot === name);
  for (const name of plan.drop) if (!active(name)) slots.delete(name);
  const missing = plan.create.filter((name) => !slots.has(name));
  if (!server.slotsTaken) for (const name of missing) slots.set(name, checkpoint.lsn);
  for (const [name, wanted] of Object.entries(plan.advance)) {
    const before = slots.get(name);
    if (before === undefined || active(name)) continue;
    if (before >= wanted || before >= reached) continue;
    slots.set(name, lagBytes(wanted, reached) > 0 ? reached : wanted);
    server.advancedSlot = { name, from: before };
    server.parts.tell(server, 'slot');
  }
  if (server.slotsTaken && missing.length > 0) throw transient('SLOTS_FAILED', 'all replication slots are in use');
}
