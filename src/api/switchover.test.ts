import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aMember, restSettings } from '../../test/fixtures/agent.ts';
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
  const nobody = 'is not possible: no good candidates have been found';
  test.each<[string, unknown, number, string]>([
    ['failover', { leader: 'pg-1' }, 400, 'Failover could be performed only to a specific candidate'],
    ['switchover', { candidate: 'pg-2' }, 400, 'Switchover could be performed only from a specific leader'],
    ['failover', { candidate: 'pg-2', scheduled_at: '2090-01-01T00:00Z' }, 400, "Failover can't be scheduled"],
    [
      'switchover',
      { leader: 'pg-1', scheduled_at: 'soon' },
      422,
      'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601',
    ],
    ['switchover', { leader: 'pg-1', scheduled_at: '2090-01-01' }, 400, 'Timezone information is mandatory for the scheduled switchover'],
    ['switchover', { leader: 'pg-1', candidate: 'pg-1' }, 400, 'Switchover target and source are the same'],
    ['switchover', { leader: 'pg-2' }, 412, 'leader name does not match: pg-1 leads'],
    ['switchover', { leader: 'pg-1', candidate: 'pg-9' }, 412, 'candidate does not exists: the members are pg-1, pg-2, pg-3'],
    ['switchover', { leader: 'pg-1', candidate: 'pg-3' }, 412, `switchover ${nobody} (pg-3 is tagged nofailover)`],
    ['failover', { candidate: 'pg-3' }, 412, `failover ${nobody} (pg-3 is tagged nofailover)`],
    ['switchover', { leader: 7 }, 400, 'leader should be the name of a member'],
  ])('%s %j', async (action, body, status, message) => {
    expect(await post(`/${action}`, body)).toMatchObject({ status, body: message });
    expect(operator.calls).toEqual([]);
  });

  test('a lagging candidate is refused while a member leads, and accepted as the operator’s choice without a leader', async () => {
    peers['pg-2'] = { lsn: toLsn(1) };
    const lags =
      /^switchover is not possible: no good candidates have been found \(pg-2 is \d+ bytes behind, more than maximum_lag_on_failover/;
    expect(await post('/switchover', { leader: 'pg-1', candidate: 'pg-2' })).toMatchObject({
      status: 412,
      body: expect.stringMatching(lags),
    });
    operator.change({ leader: null });
    const asked = post('/failover', { candidate: 'pg-2' });
    await called('writeFailover');
    operator.change(led('pg-2', '9'));
    expect(await asked).toMatchObject({ status: 200, body: 'Successfully failed over to "pg-2"' });
  });

  test('in pause a switchover needs a candidate and no schedule', async () => {
    operator.change({ config: { data: { pause: true }, modRevision: '1' } });
    const noCandidate = 'Switchover is possible only to a specific candidate in a paused state';
    expect(await post('/switchover', { leader: 'pg-1' })).toMatchObject({ status: 400, body: noCandidate });
    const scheduled = { leader: 'pg-1', candidate: 'pg-2', scheduled_at: '2090-01-01T00:00Z' };
    expect(await post('/switchover', scheduled)).toMatchObject({ status: 400, body: "Can't schedule switchover in the paused state" });
  });

  test('synchronous mode limits the candidates', async () => {
    operator.change({ config: { data: { synchronous_mode: true }, modRevision: '1' } });
    const named = { leader: 'pg-1', candidate: 'pg-2' };
    expect(await post('/switchover', named)).toMatchObject({
      status: 412,
      body: expect.stringMatching(/^candidate name does not match with sync_standby: /),
    });
    const any = { leader: 'pg-1' };
    expect(await post('/switchover', any)).toMatchObject({ status: 412, body: 'switchover is not possible: can not find sync_standby' });
    operator.change({ members: [aMember('pg-1')], config: { data: {}, modRevision: '1' } });
    const alone = 'switchover is not possible: cluster does not have members except leader';
    expect(await post('/switchover', any)).toMatchObject({ status: 412, body: alone });
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
    expect(await answer).toMatchObject({ status: 503, body: 'Switchover failed: the log of pg-1 says why' });
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
    expect(await drop(null)).toMatchObject({ status: 503, body: 'Switchover failed: the log of pg-1 says why' });
    expect(await drop('pg-2 does not answer')).toMatchObject({ status: 503, body: 'Switchover failed: pg-2 does not answer' });
  });

  test('a schedule is written, shown and deleted', async () => {
    expect(await call(`${base}/switchover`, 'DELETE')).toMatchObject({ status: 404, body: 'no switchover is scheduled' });
    const request = { leader: 'pg-1', scheduled_at: '2090-01-01 00:00+02' };
    expect(await post('/switchover', request)).toMatchObject({ status: 202, body: 'Switchover scheduled' });
    expect(operator.calls[0]).toEqual(['writeFailover', { leader: 'pg-1', scheduled_at: '2090-01-01T00:00:00+02:00', ...byUs }, null]);
    expect(await call(`${base}/switchover`, 'DELETE')).toMatchObject({ status: 200, body: 'scheduled switchover deleted' });
    expect(operator.cluster.failover).toBeNull();
  });

  test('a request that cannot be written is 503', async () => {
    operator.losesRaces = true;
    expect(await post('/switchover', { leader: 'pg-1' })).toMatchObject({
      status: 503,
      body: 'failed to write failover key into DCS: somebody changed it at the same moment; look again',
    });
  });
});

async function called(name: string): Promise<void> {
  await expect.poll(() => operator.calls.some(([known]) => known === name), { timeout: 5000, interval: 5 }).toBe(true);
}
