/**
 * Logical slots of the leader, as files for a standby. PostgreSQL keeps a slot in
 * `pg_replslot/<name>/state`, and reads it when it starts. It does not start with a logical slot
 * where wal_level is below logical, or with more slots than max_replication_slots.
 */
import { chmod, chown, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import { type Lsn, parseLsn, toLsn } from '../../core/units.ts';
import { sleep } from '../../ports/clock.ts';
import type { Bounded, SlotCopy } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { syncDirectory } from './file-steps.ts';
import { depsOf, type LocalServer } from './local-server.ts';
import { openSource, rewindCredentials } from './rewind-source.ts';
import { discard, sqlState } from './sql.ts';
import { segmentSuffix } from './wal-timeline.ts';

const LOOK_MS = 100;
/** How long the WAL up to the slot's position may take to come. */
const ARRIVES_MS = 5000;

/** By the signature that pg_rewind needs, too, so that its user may call it. */
const read = (serverVersion: number) => `
SELECT s.slot_name::text AS name, s.restart_lsn::text AS restart, pg_current_wal_flush_lsn()::text AS flushed,
  encode(pg_read_binary_file('pg_replslot/' || s.slot_name || '/state', 0, 1000000, true), 'hex') AS state
FROM pg_replication_slots s
WHERE s.slot_name = ANY($1) AND s.slot_type = 'logical' AND s.restart_lsn IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'${serverVersion >= 170000 ? ' AND NOT ($2::boolean AND s.failover)' : ' AND $2::boolean IS NOT NULL'}`;

interface SourceRow {
  readonly name: string;
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
  names: readonly string[],
  options: Bounded,
): Promise<readonly SlotCopy[]> {
  const room = (await local<Room>(server, ROOM, options))[0]!;
  checkRoom(server, room, names);
  const rows = await ask(server, leader, room, names, options);
  const copies = rows.flatMap(({ name, state }) => (state === null ? [] : [{ name, state: Buffer.from(state, 'hex') }]));
  if (copies.length === 0) throw refused(`${leader.name} has no usable slot of that name: ${names.join(', ')}`);
  // A slot beyond the WAL of this standby would let its consumer skip what comes instead.
  await untilReceived(server, parseLsn(rows[0]!.flushed), options);
  for (const { name, restart } of rows) await checkWal(server, name, parseLsn(restart));
  return copies;
}

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
  const client = await openSource(deps, leader, options.timeoutMs);
  const onAbort = () => discard(client);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return (await client.query<SourceRow>(read(room.server_version), [[...names], room.syncs])).rows;
  } catch (error) {
    const forbidden = sqlState(error) === '42501';
    const { username } = rewindCredentials(deps);
    throw refused(
      `${leader.name} does not give them: ${ensureError(error).message}`,
      forbidden ? `GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO "${username}"` : undefined,
    );
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    discard(client);
  }
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
export async function checkWal(
  { settings, walSegmentBytes }: Pick<LocalServer, 'settings' | 'walSegmentBytes'>,
  name: string,
  restart: Lsn,
): Promise<void> {
  if (walSegmentBytes === null) throw refused('the size of a WAL segment is not known yet');
  const suffix = segmentSuffix(toLsn(restart + 1n), walSegmentBytes);
  const files = await readdir(join(settings.postgresql.dataDir, 'pg_wal'));
  if (files.some((file) => file.length === 24 && file.endsWith(suffix))) return;
  throw refused(
    `the WAL that the slot ${name} begins with is gone here; it can be copied once its consumer has come further`,
    'start its consumer, or raise wal_keep_size',
  );
}

type Place = Pick<LocalServer, 'runAs' | 'settings' | 'watch'>;

/** A `.tmp` directory is one that PostgreSQL removes when it starts. */
export async function placeSlots(server: Place, copies: readonly SlotCopy[]): Promise<void> {
  const directory = slotDirectory(server);
  const { mode } = await stat(directory);
  const { runAs } = server;
  for (const { name, state } of copies) {
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
  }
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
