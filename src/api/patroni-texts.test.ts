/**
 * Every answer whose text scripts compare, to the last byte, in Patroni's order of checks. What
 * Regent has to say beside it is in a header, and in the log.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { aMember, aReplicaStatus, restSettings } from '../../test/fixtures/agent.ts';
import { call } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import type { RestSettings } from '../core/settings.ts';
import { type RestServer, startRestServer } from './server.ts';

let operator: MemoryOperatorPort;
let server: RestServer;
const log = keptLog();

beforeEach(() => {
  operator = new MemoryOperatorPort();
  log.lines.length = 0;
});
afterEach(() => server.close());

type Scene = (port: MemoryOperatorPort) => void;
/** Method and path, body, status, text, what stands in Regent-Reason. */
type Row = readonly [string, object | null, number, string, string?];

async function answer(row: Row, scene: Scene = () => {}, over: Partial<RestSettings> = {}) {
  scene(operator);
  const peers = somePeers({ 'pg-2': {}, 'pg-3': { tags: { nofailover: true } } });
  server = await startRestServer({ operator, settings: restSettings(over), log, clock: realClock, peers, validateConfig: () => [] });
  const [method = '', path = ''] = row[0].split(' ');
  const body = row[1] === null ? undefined : JSON.stringify(row[1]);
  const reply = await call(`http://127.0.0.1:${server.port}${path}`, method, body);
  const reason = reply.headers['regent-reason'];
  return [row[0], row[1], reply.status, reply.body, ...(reason === undefined ? [] : [reason])];
}

const paused: Scene = (port) => port.change({ config: { data: { pause: true }, modRevision: '1' } });
const synchronous: Scene = (port) => port.change({ config: { data: { synchronous_mode: true }, modRevision: '1' } });
const alone: Scene = (port) => port.change({ members: [aMember('pg-1')] });
const aReplica: Scene = (port) => {
  port.now = aReplicaStatus();
};
const done =
  (outcome: MemoryOperatorPort['outcome'], scene: Scene = aReplica): Scene =>
  (port) => {
    scene(port);
    port.outcome = outcome;
  };
const failed = (message: string, reason?: string) => done({ ok: false, status: 503, message, ...(reason === undefined ? {} : { reason }) });
const LATER = '2090-01-01T00:00Z';
const UNREADABLE = 'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601';
const ZONE = 'Timezone information is mandatory for the scheduled';
const NOBODY = 'is not possible: no good candidates have been found';
const [SO, FO] = ['POST /switchover', 'POST /failover'];

const ROWS: [row: Row, scene?: Scene][] = [
  [[FO, { leader: 'pg-1' }, 400, 'Failover could be performed only to a specific candidate']],
  [[SO, { candidate: 'pg-2' }, 400, 'Switchover could be performed only from a specific leader']],
  [[FO, { candidate: 'pg-2', scheduled_at: LATER }, 400, "Failover can't be scheduled"]],
  [[SO, { leader: 'pg-1', scheduled_at: LATER }, 400, "Can't schedule switchover in the paused state"], paused],
  [[SO, { leader: 'pg-1', scheduled_at: 'soon' }, 422, UNREADABLE]],
  [[SO, { leader: 'pg-1', scheduled_at: '2090-01-01T10:00' }, 400, `${ZONE} switchover`]],
  [[SO, { leader: 'pg-1', scheduled_at: '2001-01-01T10:00Z' }, 422, 'Cannot schedule switchover in the past']],
  [[SO, { leader: 'pg-1' }, 400, 'Switchover is possible only to a specific candidate in a paused state'], paused],
  [[SO, { leader: 'pg-1', candidate: 'pg-1' }, 400, 'Switchover target and source are the same']],
  [[SO, { leader: 'pg-2' }, 412, 'leader name does not match', 'pg-1 leads']],
  [
    [SO, { leader: 'pg-1', candidate: 'pg-2' }, 412, 'candidate name does not match with sync_standby', 'nobody is synchronous'],
    synchronous,
  ],
  [[SO, { leader: 'pg-1', candidate: 'pg-9' }, 412, 'candidate does not exists', 'the members are pg-1, pg-2, pg-3']],
  [[FO, { candidate: 'pg-9' }, 412, 'candidate does not exists', 'the members are pg-1, pg-2, pg-3']],
  [[SO, { leader: 'pg-1' }, 412, 'switchover is not possible: can not find sync_standby'], synchronous],
  [[SO, { leader: 'pg-1' }, 412, 'switchover is not possible: cluster does not have members except leader'], alone],
  [[SO, { leader: 'pg-1', candidate: 'pg-3' }, 412, `switchover ${NOBODY}`, 'pg-3 is tagged nofailover']],
  [[FO, { candidate: 'pg-3' }, 412, `failover ${NOBODY}`, 'pg-3 is tagged nofailover']],
  [
    [SO, { leader: 'pg-1' }, 503, 'failed to write failover key into DCS', 'somebody changed it at the same moment; look again'],
    (port) => {
      port.losesRaces = true;
    },
  ],
  [[SO, { leader: 'pg-1', scheduled_at: LATER }, 202, 'Switchover scheduled']],
  [['DELETE /switchover', null, 404, 'no switchover is scheduled']],
  [
    ['DELETE /switchover', null, 200, 'scheduled switchover deleted'],
    (port) =>
      port.change({
        failover: { leader: 'pg-1', candidate: null, scheduledAt: LATER, scheduledAtMs: Date.parse(LATER), modRevision: '3' },
      }),
  ],
  [['POST /restart', { schedule: LATER }, 500, "Can't schedule restart in the paused state"], paused],
  [['POST /restart', { schedule: 'soon' }, 422, UNREADABLE]],
  [['POST /restart', { schedule: '2090-01-01T10:00' }, 400, `${ZONE} restart`]],
  [['POST /restart', { schedule: '2001-01-01T10:00Z' }, 422, 'Cannot schedule restart in the past']],
  [['POST /restart', { role: 'boss' }, 400, 'PostgreSQL role should be either primary, standby_leader, or replica']],
  [['POST /restart', { postgres_version: 'new' }, 400, 'Invalid PostgreSQL version: new']],
  [['POST /restart', { postgres_version: '9.6' }, 400, 'Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6']],
  [['POST /restart', { timeout: -1 }, 400, 'Timeout should be a positive number of seconds']],
  [['POST /restart', { colour: 'red' }, 400, 'Unknown filter for the scheduled restart: colour']],
  [['POST /restart', null, 200, 'restarted successfully']],
  [['POST /restart', {}, 503, 'restart conditions are not satisfied'], failed('restart conditions are not satisfied')],
  [['POST /restart', {}, 503, 'clone already in progress'], failed('clone already in progress')],
  [['POST /restart', {}, 503, 'postgres is still starting'], failed('postgres is still starting')],
  [['POST /restart', {}, 503, 'restart failed', 'the disk is full'], failed('restart failed', 'the disk is full')],
  [['POST /restart', { schedule: LATER }, 202, 'Restart scheduled']],
  [
    ['POST /restart', { schedule: LATER }, 409, 'Another restart is already scheduled'],
    (port) => {
      port.scheduled = {};
    },
  ],
  [['DELETE /restart', null, 404, 'no restarts are scheduled']],
  [
    ['DELETE /restart', null, 200, 'scheduled restart deleted'],
    (port) => {
      port.scheduled = {};
    },
  ],
  [['POST /reinitialize', null, 200, 'reinitialize started'], done({ ok: true, message: 'reinitialize started' })],
  [['POST /reinitialize', null, 503, 'I am the leader, can not reinitialize']],
  [['POST /reinitialize', {}, 503, 'Cluster has no leader, can not reinitialize'], (port) => port.change({ leader: null })],
  [['POST /reinitialize', {}, 503, 'restart already in progress'], failed('restart already in progress')],
  [['POST /reload', null, 202, 'reload scheduled']],
  [
    ['POST /reload', null, 202, 'reload scheduled', 'p.yml:1:1: broken'],
    (port) => {
      port.refusal = 'p.yml:1:1: broken';
    },
  ],
  [['POST /sigterm', null, 202, 'shutdown scheduled']],
  [
    ['POST /failsafe', { name: 'pg-1' }, 200, 'Accepted'],
    (port) => {
      port.failsafeAnswer = { kind: 'accepted', lsn: null };
    },
  ],
  [
    ['POST /failsafe', { name: 'pg-1' }, 500, 'Running as a leader'],
    (port) => {
      port.failsafeAnswer = { kind: 'refused', because: 'Running as a leader' };
    },
  ],
];

test.each<[Row, Scene?]>(ROWS)('%j', async (row, scene) => {
  expect(await answer(row, scene)).toEqual(row);
  const reason = row[4];
  if (reason !== undefined) expect(log.lines.join('\n')).toContain(`${row[2]}, ${row[3]}: ${reason}`);
});

test.each<[Row, Partial<RestSettings>]>([
  [['POST /restart', null, 403, 'Access is denied'], { allowlist: ['10.9.9.9'] }],
  [['POST /restart', null, 401, 'no auth header received'], { authentication: { username: 'a', password: 'b' } }],
])('%j', async (row, over) => {
  expect(await answer(row, undefined, over)).toEqual(row);
});

/** Of these only the code counts: Patroni's text is a page of HTML. */
test.each<[Row[0], object | null, number, Scene?]>([
  ['GET /config', null, 502, (port) => port.change({ config: null })],
  ['GET /failsafe', null, 502],
  ['PATCH /config', { ttl: 20 }, 503, (port) => port.change({ config: null })],
  [
    'PATCH /config',
    { ttl: 20 },
    409,
    (port) => {
      port.losesRaces = true;
    },
  ],
  [
    'PUT /config',
    { ttl: 20 },
    502,
    (port) => {
      port.losesRaces = true;
    },
  ],
  ['PATCH /config', {}, 400],
  ['POST /failsafe', { name: 'pg-1' }, 502],
  ['DELETE /failover', null, 501],
  ['POST /primary', null, 501],
  ['PUT /switchover', {}, 501],
])('%s %j: %i', async (request, body, status, scene) => {
  expect((await answer([request, body, status, ''], scene)).slice(0, 3)).toEqual([request, body, status]);
});

test('whether the cluster is paused is read when a restart is to be scheduled, and known from before only without etcd', async () => {
  const row: Row = ['POST /restart', { schedule: LATER }, 202, 'Restart scheduled'];
  const old: Scene = (port) => {
    port.now = { ...port.now, paused: true };
  };
  expect(await answer(row, old)).toEqual(row);
  await server.close();
  operator.etcdUp = false;
  expect((await answer(row, old))[2]).toBe(500);
});
