import { beforeEach, expect, test } from 'vitest';
import { aPrimarySql, aStandbySql } from '../../../test/fixtures/agent.ts';
import { keptLog, realClock } from '../../../test/fixtures/operator-port.ts';
import { lsn, pg } from '../../../test/support/build.ts';
import type { PostgresFacts, SqlFacts } from '../../core/postgres-facts.ts';
import { RegentError } from '../../support/errors.ts';
import { reasonOf, SourceTrouble } from './source-trouble.ts';

const source = { name: 'pg-3', host: 'pg-3', port: 5433 };
let nowMs: number;
let log: ReturnType<typeof keptLog>;
let trouble: SourceTrouble;

beforeEach(() => {
  nowMs = 0;
  log = keptLog();
  trouble = new SourceTrouble({ ...realClock, monotonicMs: () => nowMs }, log, () => ({ scope: 'demo', name: 'pg-1' }));
});

const wrapped = (fields: object) => {
  const cause = new RegentError('SQL_CONNECT_FAILED', 'could not connect', {
    cause: Object.assign(new Error('said by whom it was'), fields),
  });
  return new RegentError('SOURCE_UNREACHABLE', 'no history', { cause });
};
const refused = wrapped({ code: 'ECONNREFUSED' });
const standby = (over: Partial<SqlFacts> = {}): PostgresFacts => ({
  ...pg.stopped(),
  state: 'running',
  sql: aStandbySql({ receiver: null, primaryConninfo: 'host=pg-3', ...over }),
});

test.each([
  [{ code: 'ECONNREFUSED' }, 'pg-3:5433 refuses the connection'],
  [{ code: 'ENOTFOUND' }, 'the name pg-3 is not known'],
  [{ code: 'EHOSTUNREACH' }, 'there is no way to pg-3:5433'],
  [{ code: 'ETIMEDOUT' }, 'pg-3:5433 does not answer'],
  [{ code: '28P01', severity: 'FATAL' }, 'password authentication failed for user rep; look at authentication.replication'],
  [{ code: '28000', severity: 'FATAL' }, 'said by whom it was; look at pg_hba and authentication.replication'],
  [{ code: '57P03', severity: 'FATAL' }, 'pg-3:5433: said by whom it was'],
])('the reason %j in words', (fields, words) => {
  expect(reasonOf(source, wrapped(fields), 'rep')).toBe(words);
});

test('is logged once a reason, carried by the facts, and over when WAL streams', () => {
  expect(trouble.complete(standby(), source).sourceTrouble).toBeUndefined();
  for (let round = 0; round < 3; round += 1) {
    trouble.failed(source, refused, 'rep');
    expect(trouble.complete(standby(), source).sourceTrouble).toBe('not streaming from pg-3: pg-3:5433 refuses the connection');
  }
  trouble.failed(source, wrapped({ code: '28P01', severity: 'FATAL' }), 'rep');
  trouble.complete(standby(), source);
  const streaming = standby({ receiver: aStandbySql().receiver });
  expect(trouble.complete(streaming, source)).toBe(streaming);
  trouble.complete(streaming, source);
  expect(log.lines).toEqual([
    'warning not streaming from pg-3: pg-3:5433 refuses the connection',
    'warning not streaming from pg-3: password authentication failed for user rep; look at authentication.replication',
    'info streaming again',
  ]);
  trouble.failed(source, refused, 'rep');
  trouble.complete(standby(), source);
  expect(log.lines).toHaveLength(4);
});

test('a server that is down, or follows another, waits for the leader; a primary waits for no source', () => {
  trouble.failed(source, refused, 'rep');
  expect(trouble.complete(pg.stopped(), null).sourceTrouble).toBe('waiting for pg-3 to answer: pg-3:5433 refuses the connection');
  const other = { ...source, name: 'pg-2' };
  expect(trouble.complete(standby(), other).sourceTrouble).toBe('waiting for pg-3 to answer: pg-3:5433 refuses the connection');
  const primary: PostgresFacts = { ...pg.stopped(), state: 'running', sql: aPrimarySql() };
  expect(trouble.complete(primary, null)).toBe(primary);
  expect(log.lines).toHaveLength(1);
});

test('a source that answers, while nothing is replayed: the reason is in the other log', () => {
  const replaying = [1, 2, 3].map((position) => standby({ replayLsn: lsn(position) }));
  for (const facts of replaying) {
    trouble.answered(source);
    expect(trouble.complete(facts, source).sourceTrouble).toBeUndefined();
    nowMs += 29_000;
  }
  nowMs += 1000;
  expect(trouble.complete(replaying[2]!, source).sourceTrouble).toMatch(
    /^not streaming from pg-3: it is not out of reach; PostgreSQL's own log/,
  );
  // A delayed replica whose connection ended has that to replay first.
  expect(trouble.complete(standby({ replayLsn: lsn(3), replaying: true }), source).sourceTrouble).toContain('recovery_min_apply_delay');
  const alone = standby({ primaryConninfo: '' });
  trouble.complete(alone, null);
  nowMs += 60_000;
  expect(trouble.complete(alone, null).sourceTrouble).toBeUndefined();
});

const receiver = (pid: number, status = 'streaming') => ({ ...aStandbySql().receiver!, pid, status });
const at = (ms: number, facts: PostgresFacts, words: string | null = null) => {
  nowMs = ms;
  return trouble.complete(facts, source, words);
};
const GONE = 'requested WAL segment 000000010000000000000003 has already been removed';
const goneText = `not streaming from pg-3: the WAL it needs is gone; reinit: regentctl reinit demo pg-1 (${GONE})`;

test('WAL that is gone: the source is asked after a second, it is logged once, and asked again in half a minute', () => {
  at(0, standby({ timeline: 1, receiveLsn: lsn(900), replayLsn: lsn(1000) }));
  expect(trouble.wants()).toBe(null);
  at(1500, standby({ timeline: 1, receiveLsn: lsn(900), replayLsn: lsn(1000) }));
  expect(trouble.wants()).toEqual({ timeline: 1, lsn: lsn(1000) });
  trouble.answered(source, GONE);
  for (let ms = 2000; ms < 30_000; ms += 500) {
    expect(at(ms, standby({ timeline: 1, replayLsn: lsn(1000) }))).toMatchObject({ walGone: true, sourceTrouble: goneText });
    expect(trouble.wants()).toBe(null);
    trouble.answered(source);
  }
  expect(log.lines).toEqual([`warning ${goneText}`]);
  nowMs = 32_000;
  expect(trouble.wants()).not.toBe(null);
  trouble.answered(source, null);
  expect(at(32_500, standby({ replayLsn: lsn(1000) }))).not.toHaveProperty('walGone');
});

test('WAL that is gone at the source may come from an archive, and may exist elsewhere', () => {
  const archive = standby({ replayLsn: lsn(1000), restoreCommand: 'cp /a/%f %p' });
  at(0, archive);
  trouble.answered(source, GONE);
  expect(at(5000, archive)).not.toHaveProperty('walGone');
  expect(at(10_000, archive)).toMatchObject({ walGone: true });
  expect(at(10_500, standby({ replayLsn: lsn(2000), restoreCommand: 'cp /a/%f %p' }))).not.toHaveProperty('walGone');
  expect(trouble.complete(archive, { ...source, name: 'pg-2' })).not.toHaveProperty('walGone');
});

test('a standby leader whose WAL is gone outside is not told to reinit, which would be refused', () => {
  const outside = { ...source, remote: { others: [], slot: null } };
  trouble.complete(standby({ replayLsn: lsn(1000) }), outside);
  nowMs = 1500;
  trouble.answered(outside, GONE);
  const told = trouble.complete(standby({ replayLsn: lsn(1000) }), outside).sourceTrouble;
  expect(told).toContain("gone there; give it an archive that has it: regentctl edit-config demo -s 'standby_cluster.restore_command=");
  expect(told).not.toContain('reinit');
});

test("PostgreSQL's own reason is logged within seconds, and so is WAL that is gone where it streams from a replica", () => {
  at(0, standby());
  expect(trouble.phase(standby())).toBe('other');
  nowMs = 2000;
  expect(trouble.phase(standby())).toBe('stalls');
  expect(at(2000, standby(), 'could not start WAL streaming: ERROR: replication slot "n2" does not exist').sourceTrouble).toBe(
    'not streaming from pg-3: PostgreSQL says: could not start WAL streaming: ERROR: replication slot "n2" does not exist',
  );
  expect(at(2500, standby(), `could not receive data from WAL stream: ERROR: ${GONE}`)).toMatchObject({
    walGone: true,
    sourceTrouble: goneText,
  });
});

test('phases: the log is read from the moment the trouble began', () => {
  expect(trouble.phase(standby({ receiver: receiver(7) }))).toBe('other');
  expect(trouble.phase(standby())).toBe('begins');
  expect(trouble.phase(standby({ primaryConninfo: '' }))).toBe('other');
  expect(trouble.phase(pg.stopped())).toBe('other');
});

test('in trouble a walreceiver is believed once it stays', () => {
  at(0, standby());
  trouble.answered(source, GONE);
  at(500, standby());
  // A new one each time: each was sent away at once.
  for (const pid of [11, 12, 13]) {
    const facts = at(500 + 500 * pid, standby({ receiver: receiver(pid) }));
    expect(facts.walGone).toBe(true);
    expect(facts.sql?.receiver?.status).toBe('starting');
  }
  at(8000, standby({ receiver: receiver(14) }));
  expect(log.lines).toHaveLength(1);
  expect(at(8400, standby({ receiver: receiver(14) }))).not.toHaveProperty('walGone');
  expect(log.lines.at(-1)).toBe('info streaming again');
});

test('after one reason for ten seconds, trying again at once is useless; another reason restarts the count', () => {
  const failing = (ms: number) => {
    trouble.failed(source, refused, 'rep');
    return at(ms, standby()).retriesInVain;
  };
  expect([failing(0), failing(9900), failing(10_000)]).toEqual([undefined, undefined, true]);
  trouble.answered(source);
  expect(at(10_500, standby()).retriesInVain).toBeUndefined();
  expect(failing(11_000)).toBeUndefined();
  expect(failing(21_000)).toBe(true);
  expect(at(22_000, standby({ replaying: true })).retriesInVain).toBeUndefined();
});
