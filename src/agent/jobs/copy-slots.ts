/**
 * A standby gets logical slots as the leader has them. PostgreSQL reads them only when it starts.
 * All that can be judged is judged before it stops. It stops only when no commit waits for it and
 * no other member is about to restart. If it does not start with the slots, it starts without them.
 */
import { memberOf } from '../../core/cluster.ts';
import type { Job } from '../../core/effects.ts';
import { COPY_POSTPONED, isRestless } from '../../core/slots/copies.ts';
import type { LogicalSlot } from '../../core/slots/logical-work.ts';
import { sleep } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { Postgres } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import type { JobSigns } from '../job-slot.ts';
import { isAwaited } from '../leave-sync.ts';
import { beforeStopMs, dcsTimeout, stopTimeoutMs } from './limits.ts';
import { type StopAndStartPorts, start } from './start.ts';

const FETCH_MS = 15_000;
const LOOK_EVERY_MS = 200;

export interface CopySlotsPorts extends StopAndStartPorts, Pick<JobSigns, 'copied'> {
  readonly pg: Pick<Postgres, 'fetchSlots' | 'placeSlots' | 'removeSlots' | 'start' | 'stop'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
}

export async function copySlots(ports: CopySlotsPorts, job: Extract<Job, { kind: 'copy-slots' }>, signal: AbortSignal): Promise<void> {
  const { pg, log } = ports;
  const copies = await pg.fetchSlots(job.source, stillWanted(ports, job), { timeoutMs: FETCH_MS, signal });
  await untilLetGo(ports, job, signal);
  ports.stopping();
  await pg.stop('fast', { timeoutMs: stopTimeoutMs(ports), beforeStopMs: beforeStopMs(ports) });
  let names = copies.map(({ name }) => name);
  try {
    names = [...(await pg.placeSlots(copies))];
    await start(ports, job.role, null, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    log.warning(`starting without the copied slots ${names.join(', ')}: ${ensureError(error).message}`);
    await pg.removeSlots(names);
    await start(ports, job.role, null, signal);
    throw error;
  }
  if (names.length === 0)
    throw new RegentError('SLOT_NOT_COPIED', 'logical slots cannot be copied: their WAL went while PostgreSQL stopped', {
      policy: 'transient',
      mend: 'start their consumers, or raise wal_keep_size',
    });
  ports.copied(names);
  log.info(`copied logical slots from ${job.source.name}: ${names.join(', ')}`);
}

/** With the plugin and database that a slot of that name must have to be of use. */
function stillWanted({ settings }: CopySlotsPorts, job: Extract<Job, { kind: 'copy-slots' }>): readonly LogicalSlot[] {
  const { slots } = settings.current().dynamic;
  const wanted = job.slots.flatMap((name) => {
    const slot = slots[name];
    return slot?.type === 'logical' ? [{ name, database: slot.database, plugin: slot.plugin }] : [];
  });
  if (wanted.length === 0) throw notNow(`nobody wants ${job.slots.join(', ')} any more`);
  return wanted;
}

/**
 * Tells that this member is about to stop, and returns once all can know that and nobody waits for
 * it. An operator's restart goes on if the leader does not let go of the member; a copy can wait.
 */
async function untilLetGo(ports: CopySlotsPorts, { source }: Extract<Job, { kind: 'copy-slots' }>, signal: AbortSignal): Promise<void> {
  const { clock, dcs, settings } = ports;
  const { dynamic, local } = settings.current();
  // The leader looks once in a loop_wait.
  const deadlineMs = clock.bootMs() + 2 * dynamic.loopWaitSeconds * 1000;
  ports.leaving();
  // First /sync changes, then PostgreSQL's setting, so it must be so at two looks in a row.
  for (let looks = 0; looks < 2; await sleep(clock, LOOK_EVERY_MS, signal)) {
    signal.throwIfAborted();
    const view = await dcs.read(dcsTimeout(ports));
    const own = memberOf(view, local.name);
    const other = view.members.find((member) => member.name !== local.name && isRestless(member));
    if (other !== undefined) throw notNow(`${other.name} is about to restart`);
    if (view.leader?.name !== source.name) throw notNow(`${source.name} does not lead any more`);
    looks = own !== null && isRestless(own) && !isAwaited(view, local.name) ? looks + 1 : 0;
    if (clock.bootMs() > deadlineMs) throw notNow(`${source.name} still counts on this member for its commits`);
  }
}

const notNow = (why: string) => new RegentError(COPY_POSTPONED, `logical slots are not copied now: ${why}`, { policy: 'transient' });
