import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { healthPretty } from '../render/health.ts';
import { parseStats, readHaproxy } from './haproxy.ts';
import { judge } from './judge.ts';
import type { MemberHealth } from './report.ts';

const STATS = '# pxname,svname,status\npostgres_primary,patroni1,UP\npostgres_primary,BACKEND,UP\n';
const proxy = createServer((_request, response) => response.end(STATS));
beforeAll(() => new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => proxy.close(resolve)));

test('without a named HAProxy, health says what it did not look at, and leaves another cluster’s alone', async () => {
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/stats;csv`;
  const view = Promise.resolve(['patroni1', 'patroni2', 'patroni3']);
  const guess = { url, username: 'admin', password: 'admin', isGuess: true };
  expect(await readHaproxy(guess, view)).toMatchObject({ skipped: null, proxies: [{ name: 'postgres_primary' }] });
  const other = await readHaproxy(guess, Promise.resolve(['pg-1', 'pg-2']));
  expect(other).toMatchObject({ proxies: [], skipped: 'none of its servers is a member of this cluster' });
  const report = {
    cluster: 'demo',
    initialize: null,
    dcsError: null,
    leader: null,
    hindrance: null,
    paused: false,
    synchronous: 'off',
    standbyCluster: null,
    fence: null,
    members: [],
    etcd: [],
  } as const;
  const shown = healthPretty({ ...report, haproxy: other }, []);
  expect(shown).toContain(' HAProxy: not looked at. No address is configured, and there is nothing to see at http://127.0.0.1:');
  expect(shown).toContain(
    ' Give the address of its statistics page: --haproxy-url, REGENT_HAPROXY_URL, or ctl.haproxy_url in the configuration',
  );
  const named = { ...report, leader: 'a', haproxy: { ...other, isGuess: false } };
  const complaint = /HAProxy could not be asked/;
  const limits = { maxLagBytes: 1, maxLagSeconds: 1 };
  const complains = (isGuess: boolean) =>
    judge({ ...named, haproxy: { ...other, isGuess } }, limits).some(({ message }) => complaint.test(message));
  expect([complains(true), complains(false)]).toEqual([false, true]);
});

test('a standby cluster takes no writes: an empty pool is wanted where the standby leader itself says no', () => {
  const limits = { maxLagBytes: 1, maxLagSeconds: 1 };
  const complaintsOf = (role: string, checkStatus: string) => {
    const rows = ['writes,a', 'writes,b', 'reads,a'].map((row) => `${row},DOWN,${row === 'writes,b' ? 'L4CON' : checkStatus}`);
    const proxies = parseStats(['# pxname,svname,status,check_status', ...rows, 'writes,BACKEND,DOWN', ''].join('\n'));
    const leading: MemberHealth = { ...MEMBER, name: 'a', role };
    const haproxy = { url: 'http://p', proxies, skipped: null, isGuess: false };
    const report = {
      cluster: 'demo',
      initialize: null,
      dcsError: null,
      leader: 'a',
      hindrance: null,
      paused: false,
      synchronous: 'off',
      standbyCluster: null,
      fence: null,
    } as const;
    const problems = judge({ ...report, members: [leading], etcd: [], haproxy }, limits);
    return problems.filter(({ message }) => message.startsWith('HAProxy')).map(({ level }) => level);
  };
  expect(complaintsOf('standby_leader', 'L7STS')).toEqual([]);
  expect(complaintsOf('standby_leader', 'L4TOUT')).toEqual(['critical']);
  expect(complaintsOf('leader', 'L7STS')).toEqual(['critical']);
});

const MEMBER: Omit<MemberHealth, 'name' | 'role'> = {
  ...{ host: 'a:5432', state: 'streaming', timeline: 1, lagBytes: null, lagSeconds: null, replayBacklogBytes: null, streams: null },
  ...{
    sourceTrouble: null,
    refused: null,
    clientsWait: null,
    promotionTrouble: null,
    strangers: [],
    lockedOut: null,
    unexplained: null,
    failing: [],
  },
  ...{ missingLogicalSlots: [], because: null, dcs: null, untethered: false, pendingRestart: false, version: null, unreachable: null },
};
