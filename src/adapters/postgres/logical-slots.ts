/** Permanent logical slots on the local server: made on a primary, moved on on a standby. */
import type pg from 'pg';
import type { Comparison, Held, LogicalWork } from '../../core/slots/logical-work.ts';
import { formatLsn, type Lsn, parseLsn, toLsn } from '../../core/units.ts';
import type { Bounded, Postgres } from '../../ports/postgres.ts';
import { ensureError } from '../../support/errors.ts';
import { connectLocal } from './heartbeat.ts';
import { depsOf, type LocalServer } from './local-server.ts';
import { withSource } from './rewind-source.ts';
import { hasWal } from './slot-copies.ts';
import { discard, sqlState } from './sql.ts';

const CONNECT_MS = 5000;
/** It waits for every transaction that is open when it begins. */
const CREATE_MS = 60_000;
/** For one step of an advance. */
const STEP_MS = 60_000;
/**
 * An advance cannot be called off before its statement ends, and meanwhile nobody else can use the
 * slot. So it goes by steps that take about a second.
 */
const STEP_BYTES = 64n * 1024n * 1024n;
const COMPARE_MS = 5000;
const LOOK_MS = 5000;

const CREATE = `SELECT pg_create_logical_replication_slot($1::name, $2::name)
 WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)`;
const WHERE = `SELECT confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'logical' AND NOT active`;
/** Never backwards, or past what is replayed here, or on a primary, where its consumer moves it. */
const ADVANCE = `SELECT (pg_replication_slot_advance(slot_name, least($2::pg_lsn, pg_last_wal_replay_lsn()))).end_lsn::text AS at FROM pg_replication_slots
 WHERE slot_name = $1 AND slot_type = 'logical' AND NOT active AND pg_is_in_recovery()
   AND confirmed_flush_lsn < least($2::pg_lsn, pg_last_wal_replay_lsn())`;
/** Errors of a slot that nothing here mends: a file of WAL is gone; PostgreSQL has given it up. */
const BROKEN: ReadonlySet<string | null> = new Set(['58P01', '55000']);
/** Where their WAL begins, of those for which this standby must have it by now. */
const BEGINS = `SELECT slot_name::text AS name, restart_lsn::text AS restart FROM pg_replication_slots
 WHERE slot_name = ANY($1) AND slot_type = 'logical' AND NOT active AND pg_is_in_recovery() AND restart_lsn < pg_last_wal_replay_lsn()`;
const HELD = `SELECT slot_name::text AS name, slot_type = 'physical' AS physical, catalog_xmin::text AS xmin FROM pg_replication_slots
 WHERE slot_name = ANY($1) AND NOT pg_is_in_recovery()`;

export async function workLogicalSlots(
  server: LocalServer,
  work: LogicalWork,
  { timeoutMs, signal }: Bounded,
): ReturnType<Postgres['workLogicalSlots']> {
  const failures: string[] = [];
  const broken: string[] = [];
  const { compare } = work;
  const deadlineMs = server.clock.monotonicMs() + timeoutMs;
  const isOver = () => signal?.aborted === true || server.clock.monotonicMs() >= deadlineMs;
  const attempt = async (what: string, name: string, run: () => Promise<void>) => {
    if (isOver()) return;
    try {
      await run();
    } catch (error) {
      if (BROKEN.has(sqlState(error)) && what === 'move') broken.push(name);
      failures.push(`${what} ${name}: ${ensureError(error).message}`);
    }
  };
  for (const { name, database, plugin } of work.create)
    await attempt('create', name, async () => {
      await inDatabase(server, database, CREATE_MS, async (client) => {
        const { rowCount } = await client.query(CREATE, [name, plugin]);
        // A round that had looked before it was made asks for it once more.
        if (rowCount !== 0) server.log.info(`created the permanent logical slot ${name} (database ${database}, plugin ${plugin})`);
      });
    });
  const copies = [...new Set([...work.advance.map(({ name }) => name), ...(compare?.names ?? [])])];
  if (copies.length > 0)
    await attempt('look for the WAL of', copies.join(', '), async () => {
      broken.push(...(await withoutWal(server, copies, signal)));
    });
  for (const name of broken) failures.push(`the WAL that the copy ${name} begins with is not here`);
  for (const { name, database, to } of work.advance.filter((one) => !broken.includes(one.name)))
    await attempt('move', name, () => inDatabase(server, database, STEP_MS, (client) => advance(client, name, to, isOver)));
  let held: Held | null = null;
  if (compare !== null)
    await attempt('compare', compare.names.join(', '), async () => {
      held = await ask(server, compare);
    });
  return { broken, held, failures };
}

/**
 * PostgreSQL keeps the WAL of the slots that it has, and does not look for that of a slot whose
 * file was put there while it was down. Whoever copied it may not have looked either.
 */
async function withoutWal(server: LocalServer, names: readonly string[], signal: AbortSignal | undefined): Promise<readonly string[]> {
  if (server.walSegmentBytes === null) return [];
  const options = { timeoutMs: LOOK_MS, applicationName: 'Regent slots', ...(signal && { signal }) };
  const rows = await server.heartbeat.use(server.settings, options, async (client) => {
    return (await client.query<{ name: string; restart: string }>(BEGINS, [[...names]])).rows;
  });
  const gone: string[] = [];
  for (const { name, restart } of rows) if (!(await hasWal(server, parseLsn(restart)))) gone.push(name);
  return gone;
}

/** A logical slot is bound to its database. */
async function inDatabase(server: LocalServer, database: string, timeoutMs: number, work: (client: pg.Client) => Promise<unknown>) {
  const { settings } = server;
  const there = { ...settings, postgresql: { ...settings.postgresql, database } };
  const client = await connectLocal(there, { applicationName: 'Regent slots', connectTimeoutMs: CONNECT_MS, queryTimeoutMs: timeoutMs });
  try {
    await work(client);
  } finally {
    discard(client);
  }
}

async function advance(client: pg.Client, name: string, to: Lsn, isOver: () => boolean): Promise<void> {
  const position = async (text: string, values: readonly string[]) => {
    const { rows } = await client.query<{ at: string | null }>(text, [...values]);
    const at = rows[0]?.at ?? null;
    return at === null ? null : parseLsn(at);
  };
  let at = await position(WHERE, [name]);
  while (at !== null && at < to && !isOver()) {
    const step: Lsn = toLsn(at + STEP_BYTES);
    const next = await position(ADVANCE, [name, formatLsn(step < to ? step : to)]);
    at = next === null || next <= at ? null : next;
  }
}

function ask(server: LocalServer, { leader, physical, names }: Comparison): Promise<Held> {
  return withSource(depsOf(server), leader, { timeoutMs: COMPARE_MS }, async (client) => {
    const { rows } = await client.query<{ name: string; physical: boolean; xmin: string | null }>(HELD, [[physical, ...names]]);
    const logical = rows.filter((row) => !row.physical && names.includes(row.name)).map(({ name, xmin }) => [name, xmin] as const);
    const own = rows.find((row) => row.physical && row.name === physical);
    return { leader: leader.name, physical: own?.xmin ?? null, logical: Object.fromEntries(logical) };
  });
}
