import { beforeEach, expect, test } from 'vitest';
import { observation, pg, view } from '../../test/support/build.ts';
import type { ClusterView } from '../core/cluster.ts';
import type { PostgresFacts } from '../core/postgres-facts.ts';
import { toLsn } from '../core/units.ts';
import { FreshFacts } from './fresh-facts.ts';
import type { LastRound } from './rounds.ts';

let nowMs = 0;
let last: LastRound | null;
let askedPg: number;
let reads: number;
let server: () => Promise<PostgresFacts>;
let etcd: () => Promise<ClusterView>;
let fresh: FreshFacts;

const round = (askedAtMs: number, facts = pg.standby()): LastRound =>
  ({ observation: observation({ pg: facts }), askedAtMs }) as unknown as LastRound;
const behind = (lsn: number) => pg.standby({ replayLsn: toLsn(lsn) });
const ofLeader = (optime: number) => view({ leaderName: 'b', status: { optime: toLsn(optime), slots: {}, retainSlots: [] } });

beforeEach(() => {
  nowMs = 100_000;
  last = null;
  askedPg = 0;
  reads = 0;
  server = async () => behind(1);
  etcd = async () => ofLeader(9000);
  fresh = new FreshFacts(
    {
      clock: { bootMs: () => nowMs },
      settings: { current: () => observation({}).settings },
      pg: {
        observe: () => {
          askedPg += 1;
          return server();
        },
      },
      dcs: {
        read: () => {
          reads += 1;
          return etcd();
        },
      },
    },
    {
      get last() {
        return last;
      },
    },
  );
});

test('a hundred callers within a second cost PostgreSQL one question, also while it has not answered yet', async () => {
  last = round(nowMs - 1000);
  let answer: (facts: PostgresFacts) => void = () => {};
  server = () => new Promise((resolve) => (answer = resolve));
  const asking = Array.from({ length: 50 }, () => fresh.pg());
  answer(behind(7));
  expect(new Set((await Promise.all(asking)).map((facts) => facts?.sql?.replayLsn))).toEqual(new Set([7n]));
  nowMs += 999;
  for (let i = 0; i < 50; i++) expect((await fresh.pg())?.sql?.replayLsn).toBe(7n);
  expect(askedPg).toBe(1);
  nowMs += 1;
  server = async () => behind(8);
  expect((await fresh.pg())?.sql?.replayLsn).toBe(8n);
  expect(askedPg).toBe(2);
});

test('a round of the last second is asked instead of PostgreSQL, and one that is newer than an answer counts before it', async () => {
  last = round(nowMs - 999, behind(3));
  expect((await fresh.pg())?.sql?.replayLsn).toBe(3n);
  nowMs += 500;
  expect((await fresh.pg())?.sql?.replayLsn).toBe(1n);
  last = round(nowMs + 100, pg.primary());
  nowMs += 200;
  expect((await fresh.pg())?.sql?.inRecovery).toBe(false);
  expect(askedPg).toBe(1);
});

const optime = async () => (await fresh.view(ofLeader(1000)))?.status?.optime;

test('etcd is read once a second at most, and only after the leader has published another position', async () => {
  last = round(nowMs - 5000);
  expect(await optime()).toBe(1000n);
  expect(reads).toBe(0);
  nowMs += 10;
  fresh.onKey('members/b');
  expect(await optime()).toBe(1000n);
  fresh.onKey('status');
  expect(await Promise.all([optime(), optime()])).toEqual([9000n, 9000n]);
  expect(reads).toBe(1);
  nowMs += 500;
  fresh.onKey('status');
  expect(await optime()).toBe(9000n);
  expect(reads).toBe(1);
  nowMs += 500;
  etcd = async () => ofLeader(9500);
  expect(await optime()).toBe(9500n);
  expect(reads).toBe(2);
});

test('what a later round has read counts before an answer, and what is known stays where etcd does not answer', async () => {
  last = round(nowMs - 5000);
  fresh.onKey(null);
  expect(await optime()).toBe(9000n);
  nowMs += 3000;
  last = round(nowMs - 100);
  expect(await optime()).toBe(1000n);
  fresh.onKey('status');
  etcd = () => Promise.reject(new Error('no etcd member answered'));
  expect(await optime()).toBe(1000n);
  expect(await fresh.view(null)).toBe(null);
  expect(reads).toBe(2);
});
