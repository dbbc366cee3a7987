import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { restSettings } from '../../test/fixtures/agent.ts';
import { call } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import type { ClusterView } from '../core/cluster.ts';
import type { PeerFacts } from '../core/peer-facts.ts';
import { toLsn } from '../core/units.ts';
import { type RestServer, startRestServer } from './server.ts';

let operator: MemoryOperatorPort;
let server: RestServer;
let base: string;
let peers: Record<string, Partial<PeerFacts>>;
const log = keptLog();

beforeEach(async () => {
  operator = new MemoryOperatorPort();
  log.lines.length = 0;
  peers = { 'pg-2': {}, 'pg-3': { tags: { nofailover: true } } };
  const validateConfig = () => [];
  server = await startRestServer({ operator, settings: restSettings(), log, clock: realClock, peers: somePeers(peers), validateConfig });
  base = `http://127.0.0.1:${server.port}`;
});

afterEach(() => server.close());

const post = (path: string, body: unknown) => call(base + path, 'POST', JSON.stringify(body));

/** The view once `name` leads and its PostgreSQL is out of recovery. */
const led = (name: string, modRevision: string): Partial<ClusterView> => ({
  leader: { name, leaseId: '2', modRevision },
  failover: null,
  members: (operator.view()?.members ?? []).map((member) => ({ ...member, role: member.name === name ? 'primary' : 'replica' })),
});

const byUs = { requested_by: '127.0.0.1', requested_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+\+00:00$/) };

test('the request names its author: the address, and the name that the caller gives', async () => {
  const request = JSON.stringify({ leader: 'pg-1', scheduled_at: '2090-01-01 00:00+02' });
  await call(`${base}/switchover`, 'POST', request, { headers: { From: 'alice@bastion' } });
  await call(`${base}/switchover`, 'POST', request, { headers: { From: 'x'.repeat(500) } });
  const names = operator.calls.flatMap(([name, value]) =>
    name === 'writeFailover' ? [(value as { requested_by: string }).requested_by] : [],
  );
  expect(names).toEqual(['alice@bastion (127.0.0.1)', `${'x'.repeat(100)} (127.0.0.1)`]);
});

describe('switchover and failover', () => {
  test('a lagging candidate is refused while a member leads, and accepted as the operator’s choice without a leader', async () => {
    peers['pg-2'] = { lsn: toLsn(1) };
    expect(await post('/switchover', { leader: 'pg-1', candidate: 'pg-2' })).toMatchObject({
      status: 412,
      body: 'switchover is not possible: no good candidates have been found',
      headers: { 'regent-reason': expect.stringMatching(/^pg-2 is \d+ bytes behind, more than maximum_lag_on_failover/) },
    });
    operator.change({ leader: null });
    const asked = post('/failover', { candidate: 'pg-2' });
    await called('writeFailover');
    operator.change(led('pg-2', '9'));
    expect(await asked).toMatchObject({ status: 200, body: 'Successfully failed over to "pg-2"' });
  });

  test('the answer comes with the change, not with a poll', async () => {
    // No look comes by time alone.
    const { nextChange } = operator;
    operator.nextChange = () => nextChange.call(operator, 60_000);
    const answer = post('/switchover', { leader: 'pg-1', candidate: 'pg-2' });
    await called('wake');
    operator.change({ leader: null });
    operator.change({ leader: { name: 'pg-2', leaseId: '2', modRevision: '8' }, failover: null });
    // It holds the key, but takes no writes yet.
    await expect(Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, 'not yet'))])).resolves.toBe('not yet');
    operator.change(led('pg-2', '8'));
    expect(await answer).toMatchObject({ status: 200, body: 'Successfully switched over to "pg-2"' });
    expect(operator.calls[0]).toEqual(['writeFailover', { leader: 'pg-1', member: 'pg-2', ...byUs }, null]);
  });

  test('a standby cluster is led by a standby leader', async () => {
    const answer = post('/switchover', { leader: 'pg-1', candidate: 'pg-2' });
    await called('wake');
    const members = (operator.view()?.members ?? []).map((member) => ({
      ...member,
      role: member.name === 'pg-2' ? ('standby_leader' as const) : ('replica' as const),
    }));
    operator.change({ ...led('pg-2', '8'), members });
    expect(await answer).toMatchObject({ status: 200, body: 'Successfully switched over to "pg-2"' });
  });

  test('another winner, a withdrawn request', async () => {
    let answer = post('/failover', { candidate: 'pg-2' });
    await called('wake');
    operator.change(led('pg-3', '8'));
    expect(await answer).toMatchObject({ status: 200, body: 'Failed over to "pg-3" instead of "pg-2"' });
    operator.calls.length = 0;
    operator.change({ leader: { name: 'pg-1', leaseId: '2', modRevision: '9' } });
    answer = post('/failover', { leader: 'pg-1', member: 'pg-2' });
    await called('wake');
    operator.change({ failover: null });
    // The node that was asked does not lead, or it is the operator who took the request back.
    expect(await answer).toMatchObject({
      status: 503,
      body: 'Switchover failed',
      headers: { 'regent-reason': 'the log of pg-1 says why' },
    });
    expect(log.lines.join()).toContain('a failover that names the leader is a switchover');
  });

  test('a request that the leader drops is answered with its reason, and not with that of an earlier one', async () => {
    operator.dropped = { because: 'pg-2 is tagged nofailover', atMs: realClock.bootMs() - 1 };
    const drop = async (because: string | null) => {
      const answer = post('/switchover', { leader: 'pg-1', candidate: 'pg-2' });
      await called('wake');
      if (because !== null) operator.dropped = { because, atMs: realClock.bootMs() };
      operator.change({ failover: null });
      operator.calls.length = 0;
      return answer;
    };
    expect(await drop(null)).toMatchObject({
      status: 503,
      body: 'Switchover failed',
      headers: { 'regent-reason': 'the log of pg-1 says why' },
    });
    expect(await drop('pg-2 does not answer')).toMatchObject({
      status: 503,
      body: 'Switchover failed',
      headers: { 'regent-reason': 'pg-2 does not answer' },
    });
  });

  test('a schedule is written, shown and deleted', async () => {
    expect(await call(`${base}/switchover`, 'DELETE')).toMatchObject({ status: 404, body: 'no switchover is scheduled' });
    const request = { leader: 'pg-1', scheduled_at: '2090-01-01 00:00+02' };
    expect(await post('/switchover', request)).toMatchObject({ status: 202, body: 'Switchover scheduled' });
    expect(operator.calls[0]).toEqual(['writeFailover', { leader: 'pg-1', scheduled_at: '2090-01-01T00:00:00+02:00', ...byUs }, null]);
    expect(await call(`${base}/switchover`, 'DELETE')).toMatchObject({ status: 200, body: 'scheduled switchover deleted' });
    expect(operator.cluster.failover).toBeNull();
  });
});

async function called(name: string): Promise<void> {
  await expect.poll(() => operator.calls.some(([known]) => known === name), { timeout: 5000, interval: 5 }).toBe(true);
}
