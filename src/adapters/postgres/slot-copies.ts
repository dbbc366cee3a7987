/**
 * Logical slots of the leader, as files for a standby. PostgreSQL keeps a slot in
 * `pg_replslot/<name>/state`, and reads it when it starts. It does not start with a logical slot
 * where wal_level is below logical, or with more slots than max_replication_slots.
 */
import { chmod, chown, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import type { LogicalSlot } from '../../core/slots/logical-work.ts';
import { type Lsn, parseLsn, toLsn } from '../../core/units.ts';
import { sleep } from '../../ports/clock.ts';
import type { Bounded, SlotCopy } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { syncDirectory } from './file-steps.ts';
import { depsOf, type LocalServer } from './local-server.ts';
import { rewindCredentials, withSource } from './rewind-source.ts';
import { sqlState } from './sql.ts';
import { timelineOfWal } from './wal-timeline.ts';

const LOOK_MS = 100;
/** How long the WAL up to the slot's position may take to come. */
const ARRIVES_MS = 5000;

/** By the signature that pg_rewind needs, too, so that its user may call it. */
const read = (serverVersion: number) => `
SELECT s.slot_name::text AS name, s.database::text AS database, s.plugin::text AS plugin,
  s.restart_lsn::text AS restart, pg_current_wal_flush_lsn()::text AS flushed,
  encode(pg_read_binary_file('pg_replslot/' || s.slot_name || '/state', 0, 1000000, true), 'hex') AS state
FROM pg_replication_slots s
WHERE s.slot_name = ANY($1) AND s.slot_type = 'logical' AND s.restart_lsn IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'${serverVersion >= 170000 ? ' AND NOT ($2::boolean AND s.failover)' : ' AND $2::boolean IS NOT NULL'}`;

export interface SourceRow extends LogicalSlot {
  readonly restart: string;
  readonly flushed: string;
  readonly state: string | null;
}

const ROOM = `SELECT current_setting('wal_level') AS wal_level, current_setting('hot_standby_feedback') AS feedback,
  current_setting('max_replication_slots')::int AS most, current_setting('server_version_num')::int AS server_version,
  coalesce(current_setting('sync_replication_slots', true), 'off') = 'on' AS syncs,
  (SELECT coalesce(array_agg(slot_name::text), '{}') FROM pg_replication_slots) AS slots`;

export interface Room {
  readonly wal_level: string;
  readonly feedback: string;
  readonly most: number;
  readonly server_version: number;
  readonly syncs: boolean;
  readonly slots: readonly string[];
}

export async function fetchSlots(
  server: LocalServer,
  leader: Source,
  wanted: readonly LogicalSlot[],
  options: Bounded,
): Promise<readonly SlotCopy[]> {
  const names = wanted.map(({ name }) => name);
  const room = (await local<Room>(server, ROOM, options))[0]!;
  checkRoom(server, room, names);
  const rows = await ask(server, leader, room, names, options);
  // A slot beyond the WAL of this standby would let its consumer skip what comes instead.
  if (rows.length > 0) await untilReceived(server, parseLsn(rows[0]!.flushed), options);
  const { copies, refusals } = await judgeSlots(server, leader.name, rows, wanted);
  if (copies.length === 0) throw refused(refusals.map(({ why }) => why).join('; '), refusals[0]?.mend);
  for (const { why, mend } of refusals) server.log.warning(`a logical slot is not copied with the others: ${why}`, mend ? { mend } : {});
  return copies;
}

interface Refusal {
  readonly why: string;
  readonly mend?: string;
}

/**
 * Each by itself: one that is of no use here keeps no other from being copied. A slot of another
 * kind would be dropped here at once, and PostgreSQL would have been restarted in vain.
 */
export async function judgeSlots(
  place: WalPlace,
  leader: string,
  rows: readonly SourceRow[],
  wanted: readonly LogicalSlot[],
): Promise<{ readonly copies: readonly SlotCopy[]; readonly refusals: readonly Refusal[] }> {
  const copies: SlotCopy[] = [];
  const refusals: Refusal[] = [];
  for (const { name, database, plugin } of wanted) {
    const row = rows.find((one) => one.name === name);
    if (row === undefined || row.state === null) refusals.push({ why: `${leader} has no usable slot ${name}` });
    else if (row.database !== database || row.plugin !== plugin)
      refusals.push({
        why: `the slot ${name} of ${leader} is of plugin ${row.plugin} in database ${row.database}, not of ${plugin} in ${database}`,
        mend: `stop its consumer (the leader then makes the slot again), or take another name in 'slots'`,
      });
    else {
      const copy = { name, restart: parseLsn(row.restart), state: Buffer.from(row.state, 'hex') };
      if (await hasWal(place, copy.restart)) copies.push(copy);
      else refusals.push(withoutWal(name));
    }
  }
  return { copies, refusals };
}

const withoutWal = (name: string): Refusal => ({
  why: `the WAL that the slot ${name} begins with is gone here; it can be copied once its consumer has come further`,
  mend: 'start its consumer, or raise wal_keep_size',
});

/** PostgreSQL would not start with them, or vacuum on the primary would take what they need. */
export function checkRoom({ settings }: Pick<LocalServer, 'settings'>, room: Room, names: readonly string[]): void {
  const { controlledParameters } = settings;
  if (room.wal_level !== 'logical' || (controlledParameters['wal_level'] ?? 'logical') !== 'logical')
    throw refused('wal_level is below logical here', "set 'wal_level: logical' in postgresql.parameters and restart the members");
  if (room.feedback !== 'on') throw refused('hot_standby_feedback is not in force here yet');
  const count = new Set([...room.slots, ...names]).size;
  const most = Math.min(room.most, Number(controlledParameters['max_replication_slots'] ?? room.most));
  if (count > most) throw refused(`max_replication_slots is ${most}, and ${count} slots would be needed`, 'raise max_replication_slots');
}

async function ask(server: LocalServer, leader: Source, room: Room, names: readonly string[], options: Bounded): Promise<SourceRow[]> {
  const deps = depsOf(server);
  return withSource(deps, leader, options, async (client) => {
    try {
      return (await client.query<SourceRow>(read(room.server_version), [[...names], room.syncs])).rows;
    } catch (error) {
      const forbidden = sqlState(error) === '42501';
      const { username } = rewindCredentials(deps);
      throw refused(
        `${leader.name} does not give them: ${ensureError(error).message}`,
        forbidden ? `GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO "${username}"` : undefined,
      );
    }
  });
}

async function untilReceived(server: LocalServer, flushed: Lsn, options: Bounded): Promise<void> {
  const { clock } = server;
  const deadlineMs = clock.monotonicMs() + ARRIVES_MS;
  const text = `SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text AS at`;
  for (;;) {
    const at = (await local<{ at: string | null }>(server, text, options))[0]?.at ?? null;
    if (at !== null && parseLsn(at) >= flushed) return;
    if (clock.monotonicMs() > deadlineMs || options.signal?.aborted) throw refused('this standby lags too far behind');
    await sleep(clock, LOOK_MS, options.signal);
  }
}

/** The segment that holds the slot's first byte, of whatever timeline. */
export async function hasWal({ settings, walSegmentBytes }: WalPlace, restart: Lsn): Promise<boolean> {
  if (walSegmentBytes === null) throw refused('the size of a WAL segment is not known yet');
  return (await timelineOfWal(settings.postgresql.dataDir, toLsn(restart + 1n), walSegmentBytes)) !== null;
}

type WalPlace = Pick<LocalServer, 'settings' | 'walSegmentBytes'>;
type Place = Pick<LocalServer, 'runAs' | 'settings' | 'watch'>;

/**
 * Since they were judged, and by the stop itself, a restartpoint may have removed WAL that no slot
 * here kept yet. A `.tmp` directory is one that PostgreSQL removes when it starts.
 */
export async function placeSlots(
  server: Place & WalPlace & Pick<LocalServer, 'log'>,
  copies: readonly SlotCopy[],
): Promise<readonly string[]> {
  const directory = slotDirectory(server);
  const placed: string[] = [];
  const { mode } = await stat(directory);
  const { runAs } = server;
  for (const { name, restart, state } of copies) {
    if (!(await hasWal(server, restart))) {
      const { why, mend } = withoutWal(name);
      server.log.warning(`a logical slot is not copied: ${why}`, { mend });
      continue;
    }
    const temporary = join(directory, `${name}.tmp`);
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary);
    await chmod(temporary, mode & 0o777);
    const file = await open(join(temporary, 'state'), 'wx', mode & 0o666);
    try {
      await file.chmod(mode & 0o666);
      if (runAs !== null) await file.chown(runAs.uid, runAs.gid);
      await file.writeFile(state);
      await file.sync();
    } finally {
      await file.close();
    }
    if (runAs !== null) await chown(temporary, runAs.uid, runAs.gid);
    await syncDirectory(temporary);
    await rm(join(directory, name), { recursive: true, force: true });
    await rename(temporary, join(directory, name));
    await syncDirectory(directory);
    placed.push(name);
  }
  return placed;
}

export async function removeSlots(server: Place, names: readonly string[]): Promise<void> {
  const directory = slotDirectory(server);
  for (const name of names) await rm(join(directory, name), { recursive: true, force: true });
  await syncDirectory(directory);
}

/** Throws PG_RUNNING: the files are the running server's. */
function slotDirectory({ settings, watch }: Place): string {
  const { dataDir } = settings.postgresql;
  const running = watch.current(dataDir);
  if (running)
    throw new RegentError('PG_RUNNING', `PostgreSQL runs (pid ${running.pid}): its slots must not be touched`, { policy: 'transient' });
  return join(dataDir, 'pg_replslot');
}

function local<Row extends object>(server: LocalServer, text: string, options: Bounded): Promise<Row[]> {
  return server.heartbeat.use(server.settings, { ...options, applicationName: 'Regent slots' }, async (client) => {
    return (await client.query(text)).rows as Row[];
  });
}

const refused = (why: string, mend?: string) =>
  new RegentError('SLOT_NOT_COPIED', `logical slots cannot be copied: ${why}`, {
    policy: 'transient',
    ...(mend !== undefined && { mend }),
  });
