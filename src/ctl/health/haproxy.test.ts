import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { healthPretty } from '../render/health.ts';
import { CLUSTER_UNKNOWN, NOTHING_KNOWN } from './collect.ts';
import { parseStats, readHaproxy } from './haproxy.ts';
import { judge } from './judge.ts';
import type { MemberHealth } from './report.ts';

const STATS = '# pxname,svname,status\npostgres_primary,patroni1,UP\npostgres_primary,BACKEND,UP\n';
const LIMITS = { maxLagBytes: 1, maxLagSeconds: 1 };
const REPORT = { cluster: 'demo', dcsError: null, ...CLUSTER_UNKNOWN, etcd: [] };
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
  const shown = healthPretty({ ...REPORT, haproxy: other }, []);
  expect(shown).toContain(' HAProxy: not looked at. No address is configured, and there is nothing to see at http://127.0.0.1:');
  expect(shown).toContain(
    ' Give the address of its statistics page: --haproxy-url, REGENT_HAPROXY_URL, or ctl.haproxy_url in the configuration',
  );
  const named = { ...REPORT, leader: 'a', haproxy: { ...other, isGuess: false } };
  const complaint = /HAProxy could not be asked/;
  const complains = (isGuess: boolean) =>
    judge({ ...named, haproxy: { ...other, isGuess } }, LIMITS).some(({ message }) => complaint.test(message));
  expect([complains(true), complains(false)]).toEqual([false, true]);
});

test('a standby cluster takes no writes: an empty pool is wanted where the standby leader itself says no', () => {
  const complaintsOf = (role: string, checkStatus: string) => {
    const rows = ['writes,a', 'writes,b', 'reads,a'].map((row) => `${row},DOWN,${row === 'writes,b' ? 'L4CON' : checkStatus}`);
    const proxies = parseStats(['# pxname,svname,status,check_status', ...rows, 'writes,BACKEND,DOWN', ''].join('\n'));
    const leading: MemberHealth = { ...NOTHING_KNOWN, name: 'a', role, state: 'streaming', unreachable: null };
    const haproxy = { url: 'http://p', proxies, skipped: null, isGuess: false };
    const problems = judge({ ...REPORT, leader: 'a', members: [leading], haproxy }, LIMITS);
    return problems.filter(({ message }) => message.startsWith('HAProxy')).map(({ level }) => level);
  };
  expect(complaintsOf('standby_leader', 'L7STS')).toEqual([]);
  expect(complaintsOf('standby_leader', 'L4TOUT')).toEqual(['critical']);
  expect(complaintsOf('leader', 'L7STS')).toEqual(['critical']);
});
