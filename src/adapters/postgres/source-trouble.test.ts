import { beforeEach, expect, test } from 'vitest';
import { aPrimarySql, aStandbySql } from '../../../test/fixtures/agent.ts';
import { keptLog, realClock } from '../../../test/fixtures/desk.ts';
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
  trouble = new SourceTrouble({ ...realClock, monotonicMs: () => nowMs }, log);
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

test('told once a reason, carried by the facts, and over when WAL streams', () => {
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

test('a server that is down, or follows another, waits for the leader; a primary waits for nobody', () => {
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
    trouble.answered();
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
