import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aReplicaStatus, restSettings } from '../../test/fixtures/agent.ts';
import { call, raw } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import type { ConfigProblem } from '../config/problems.ts';
import type { PeerFacts } from '../core/peer-facts.ts';
import { toLsn } from '../core/units.ts';
import { noCounts } from '../ports/agent-status.ts';
import type { JsonObject } from '../support/json.ts';
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
  server = await startRestServer({
    operator,
    settings: restSettings({ httpExtraHeaders: { 'X-Frame-Options': 'DENY' }, httpsExtraHeaders: { 'X-Only': 'tls' } }),
    log,
    clock: realClock,
    peers: somePeers(peers),
    validateConfig,
  });
  base = `http://127.0.0.1:${server.port}`;
});

afterEach(() => server.close());

/** Stands in for the schema: a ttl must be a number. */
function validateConfig(raw: JsonObject): ConfigProblem[] {
  const place = { file: '/config', line: null, column: null };
  const bad = raw['ttl'] !== undefined && typeof raw['ttl'] !== 'number';
  return bad ? [{ ...place, path: 'ttl', message: 'not a number', mend: 'write 30', severity: 'error' }] : [];
}

const post = (path: string, body: unknown) => call(base + path, 'POST', JSON.stringify(body));

describe('reading', () => {
  test('a health check answers with the status, HEAD and OPTIONS with the code only', async () => {
    const get = await call(`${base}/primary`);
    expect(get.status).toBe(200);
    expect(get.headers['content-type']).toBe('application/json');
    expect(get.headers['x-frame-options']).toBe('DENY');
    expect(get.headers['x-only']).toBeUndefined();
    expect(get.headers['content-length']).toBe(String(get.body.length));
    expect(JSON.parse(get.body)).toMatchObject({ state: 'running', role: 'primary', xlog: { location: 83886176 } });
    for (const method of ['HEAD', 'OPTIONS']) {
      const probe = await call(`${base}/primary`, method);
      expect(probe).toMatchObject({ status: 200, body: '' });
      expect(probe.headers['x-frame-options']).toBeUndefined();
      expect((await call(`${base}/replica`, method)).status).toBe(503);
      expect((await call(`${base}/metrics`, method)).status).toBe(503);
    }
  });

  test('queries reach the check, the first value counts', async () => {
    operator.now = aReplicaStatus();
    expect((await call(`${base}/replica?lag=96`)).status).toBe(200);
    expect((await call(`${base}/replica?lag=95&lag=1MB`)).status).toBe(503);
    expect((await call(`${base}/replica?lag=`)).status).toBe(200);
    expect((await call(`${base}///replica`)).status).toBe(200);
  });

  test('liveness and readiness are codes only', async () => {
    expect(await call(`${base}/liveness`)).toMatchObject({ status: 200, body: '' });
    expect(await call(`${base}/readiness`)).toMatchObject({ status: 200, body: '' });
    operator.now = { ...operator.now, nowMs: operator.now.nowMs + 60_000, isLeader: false };
    expect((await call(`${base}/liveness`)).status).toBe(503);
    expect((await call(`${base}/readiness`)).status).toBe(503);
  });

  test('/patroni, /cluster, /history, /config', async () => {
    operator.change({
      history: [{ timeline: 1, switchLsn: toLsn(0x3000000), reason: 'no recovery target specified', timestamp: 't', newLeader: 'pg-1' }],
    });
    expect(await call(`${base}/patroni`)).toMatchObject({ status: 200 });
    const cluster = await call(`${base}/cluster`);
    expect(JSON.parse(cluster.body)).toMatchObject({ members: [{ name: 'pg-1', role: 'leader' }, {}, {}], scope: 'demo' });
    expect((await call(`${base}/history`)).body).toBe('[[1, 50331648, "no recovery target specified", "t", "pg-1"]]');
    expect((await call(`${base}/config/whatever`)).body).toBe('{"ttl": 30, "loop_wait": 10}');
    operator.change({ config: null });
    expect((await call(`${base}/config`)).status).toBe(502);
    expect((await call(`${base}/failsafe`)).status).toBe(502);
    operator.failsafe = { 'pg-1': 'http://10.0.0.11:8008/patroni' };
    expect(await call(`${base}/failsafe`)).toMatchObject({ status: 200, body: '{"pg-1": "http://10.0.0.11:8008/patroni"}' });
  });

  test('without etcd, live facts say so, and known facts are still shown', async () => {
    operator.etcdUp = false;
    expect(await call(`${base}/cluster`)).toMatchObject({ status: 503, body: 'etcd: no etcd member answered' });
    expect((await call(`${base}/config`)).status).toBe(200);
    operator.viewKnown = false;
    expect((await call(`${base}/history`)).status).toBe(503);
    expect((await call(`${base}/patroni`)).status).toBe(200);
  });

  test('metrics are Prometheus text with Patroni’s names', async () => {
    operator.now = { ...operator.now, leaseRemainingMs: 12_500, rule: 'say "so"' };
    const { status, body, headers } = await call(`${base}/metrics`);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/plain');
    expect(body.endsWith('\n')).toBe(true);
    const names = [...body.matchAll(/^([a-z_]+)\{/gm)].map((match) => match[1]);
    expect(names.slice(0, 3)).toEqual(['patroni_version', 'patroni_postgres_running', 'patroni_postmaster_start_time']);
    expect(new Set(names).size).toBe(names.length);
    for (const line of body.trim().split('\n')) {
      expect(line).toMatch(/^(# HELP \w+ .+|# TYPE \w+ (gauge|counter)|# Values: 0=initdb,.*|\w+\{scope="demo",name="pg-1".*\} [-0-9.]+)$/);
    }
    const value = (name: string) =>
      body
        .split('\n')
        .find((line) => line.startsWith(`${name}{`))
        ?.split(' ')
        .at(-1);
    expect(value('patroni_version')).toBe('040104');
    expect(value('patroni_xlog_location')).toBe('83886176');
    expect(value('patroni_postmaster_start_time')).toBe(String(Date.UTC(2026, 10, 22, 20) / 1000 + 0.123456));
    expect(value('patroni_postgres_state')).toBe('5');
    expect(value('regent_lease_remaining_seconds')).toBe('12.5');
    expect(body).toContain('rule="say \\"so\\""} 1');
  });

  test('metrics count events, and show the state of the guard and the version', async () => {
    const counts = {
      ...noCounts,
      roleChanges: 3,
      promotions: 1,
      demotions: 2,
      failovers: 4,
      etcdFailures: 5,
      rewinds: 6,
      cloneFailures: 7,
    };
    const guard = { healthy: true, state: 'armed', strikesInMs: 25_500 } as const;
    const quorum = { isDcsAway: true, vouchedForBy: ['pg-2'], missesLeader: null, promisedAgainst: null };
    operator.now = { ...operator.now, counts, guard, quorum, build: '0.1.0+7.g1234567' };
    const { body } = await call(`${base}/metrics`);
    const own = Object.fromEntries([...body.matchAll(/^(regent_\w+)\{.*\} (.*)$/gm)].map(([, name, value]) => [name, value]));
    expect(own).toMatchObject({
      regent_role_changes_total: '3',
      regent_promotions_total: '1',
      regent_demotions_total: '2',
      regent_failovers_total: '4',
      regent_etcd_failures_total: '5',
      regent_rewinds_total: '6',
      regent_clone_failures_total: '7',
      regent_guard_healthy: '1',
      regent_guard_armed: '1',
      regent_guard_strikes_in_seconds: '25.5',
      regent_build_info: '1',
    });
    expect(body).toContain('regent_failover_fence{scope="demo",name="pg-1",fence="lease",rule="lease.asynchronous"} 1');
    expect(own).toMatchObject({ regent_vouched: '1', regent_leader_missed: '0', regent_promised: '0' });
    expect(body).toContain('name="pg-1",version="0.1.0+7.g1234567"} 1');
    const types = [...body.matchAll(/^# TYPE (regent_\w+) (\w+)$/gm)];
    for (const [, name, type] of types) expect([name, type === 'counter']).toEqual([name, name!.endsWith('_total')]);
    const documented = readFileSync(join(import.meta.dirname, '../../docs/wire.md'), 'utf8');
    expect(types.map(([, name]) => name).filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('configuration', () => {
  test('PATCH merges, writes against the revision read, and answers with the result', async () => {
    const reply = await call(
      `${base}/config`,
      'PATCH',
      '{"ttl": 20, "loop_wait": null, "postgresql": {"parameters": {"work_mem": "8MB"}}}',
    );
    expect(reply).toMatchObject({ status: 200, body: '{"ttl": 20, "postgresql": {"parameters": {"work_mem": "8MB"}}}' });
    expect(operator.calls[0]).toEqual(['judgeParameters', { work_mem: '8MB' }]);
    expect(operator.calls[1]).toEqual(['writeConfig', expect.objectContaining({ ttl: 20 }), '1']);
  });

  test('PATCH that changes nothing writes nothing', async () => {
    expect((await call(`${base}/config`, 'PATCH', '{"ttl": 30}')).status).toBe(200);
    expect(operator.calls.map(([name]) => name)).not.toContain('writeConfig');
  });

  test('a change is refused for what it breaks, not for what was broken before', async () => {
    expect(await call(`${base}/config`, 'PATCH', '{"ttl": "long"}')).toMatchObject({
      status: 400,
      body: '/config: ttl: not a number; write 30',
    });
    operator.change({ config: { data: { ttl: 'broken' }, modRevision: '9' } });
    expect((await call(`${base}/config`, 'PATCH', '{"pause": true}')).status).toBe(200);
  });

  test('what PostgreSQL refuses is answered with its words and not written; if it cannot be asked, the value is written', async () => {
    const change = '{"postgresql": {"parameters": {"work_mem": "8XB"}}}';
    operator.complaints = [
      { name: 'work_mem', message: 'invalid value for parameter "work_mem": "8XB"', instead: null, hint: 'Valid units are…' },
    ];
    const body = 'postgresql.parameters.work_mem: PostgreSQL refuses it: invalid value for parameter "work_mem": "8XB" (Valid units are…)';
    expect(await call(`${base}/config`, 'PATCH', change)).toMatchObject({ status: 400, body });
    expect(await call(`${base}/config`, 'PUT', change)).toMatchObject({ status: 400, body });
    const ofRole = change.replace('parameters', 'parameters_primary');
    expect(await call(`${base}/config`, 'PATCH', ofRole)).toMatchObject({
      status: 400,
      body: body.replace('parameters', 'parameters_primary'),
    });
    expect(operator.calls.map(([name]) => name)).not.toContain('writeConfig');
    operator.complaints = null;
    expect((await call(`${base}/config`, 'PATCH', change)).status).toBe(200);
  });

  test('PostgreSQL is not asked about parameters that the change does not touch or that Regent judges itself', async () => {
    operator.change({ config: { data: { postgresql: { parameters: { work_mem: '8XB', max_connections: 100 } } }, modRevision: '9' } });
    expect((await call(`${base}/config`, 'PATCH', '{"postgresql": {"parameters": {"max_connections": 200}}}')).status).toBe(200);
    expect(operator.calls.map(([name]) => name)).not.toContain('judgeParameters');
  });

  test('POST /parameters tells what PostgreSQL refuses, and writes nothing', async () => {
    operator.complaints = [{ name: 'work_mem', message: 'bad', instead: null }];
    expect(await post('/parameters', { work_mem: '8XB', autovacuum: true })).toMatchObject({
      status: 200,
      body: '{"refused": {"work_mem": "bad"}}',
    });
    expect(operator.calls).toEqual([['judgeParameters', { work_mem: '8XB', autovacuum: 'on' }]]);
    operator.complaints = null;
    expect((await post('/parameters', { work_mem: '8MB' })).status).toBe(503);
  });

  test('POST /parameters shows what this member’s own file says otherwise', async () => {
    const { local } = operator.inForce;
    const parameters = { work_mem: '5MB', autovacuum: 'on' };
    operator.inForce = { ...operator.inForce, local: { ...local, postgresql: { ...local.postgresql, parameters } } };
    expect(await post('/parameters', { Work_Mem: '8MB', autovacuum: true, jit: false })).toMatchObject({
      status: 200,
      body: '{"refused": {}, "overruled": {"Work_Mem": "5MB"}}',
    });
  });

  test('a lost race is 409, an absent configuration 503, etcd down 503', async () => {
    operator.losesRaces = true;
    expect((await call(`${base}/config`, 'PATCH', '{"ttl": 20}')).status).toBe(409);
    operator.change({ config: null });
    expect((await call(`${base}/config`, 'PATCH', '{"ttl": 20}')).status).toBe(503);
    operator.etcdUp = false;
    expect((await call(`${base}/config`, 'PATCH', '{"ttl": 20}')).status).toBe(503);
  });

  test('PUT replaces, echoes, and does not write the same again', async () => {
    expect(await call(`${base}/config`, 'PUT', '{"ttl":25}')).toMatchObject({ status: 200, body: '{"ttl": 25}' });
    expect((await call(`${base}/config`, 'PUT', '{"ttl":25}')).status).toBe(200);
    expect(operator.calls.filter(([name]) => name === 'writeConfig')).toEqual([['writeConfig', { ttl: 25 }, null]]);
    expect((await call(`${base}/config`, 'PUT', '{"ttl":"x"}')).status).toBe(400);
  });
});

describe('bodies', () => {
  test.each([
    ['{"ttl": 20', 400, "the body is not JSON: line 1, column 11: expected ',' or '}' (the text ends here). Send a JSON object."],
    ['[1]', 400, 'the body is JSON, but not an object. Send a JSON object: {"key": value}.'],
    ['{}', 400, 'the body is an empty object. Send a JSON object with at least one key.'],
    ['', 400, 'the body is not JSON: line 1, column 1: expected a value (the text ends here). Send a JSON object.'],
  ])('%s', async (body, status, message) => {
    expect(await call(`${base}/config`, 'PATCH', body)).toMatchObject({ status, body: message });
  });

  test('a missing body is 411 where one is needed, and accepted where it is not', async () => {
    expect((await raw(server.port, 'POST /switchover HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).split('\r\n')[0]).toBe(
      'HTTP/1.1 411 Length Required',
    );
    expect((await raw(server.port, 'POST /restart HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).split('\r\n')[0]).toBe(
      'HTTP/1.1 200 OK',
    );
  });

  test('more than a megabyte is 413, announced or not', async () => {
    const large = Buffer.alloc(1024 * 1024 + 1, 32);
    expect((await call(`${base}/config`, 'PATCH', large)).status).toBe(413);
    const chunked = { headers: { 'Transfer-Encoding': 'chunked' } };
    expect((await call(`${base}/config`, 'PATCH', large, chunked)).status).toBe(413);
    expect((await call(`${base}/liveness`)).status).toBe(200);
  });

  test('bytes that are not UTF-8 are 400', async () => {
    expect((await call(`${base}/config`, 'PATCH', Buffer.from([0x7b, 0xff, 0x7d]))).status).toBe(400);
  });
});

describe('restart, reload, reinitialize', () => {
  test('restart now, with conditions', async () => {
    expect(await post('/restart', { role: 'primary', postgres_version: '15.4', timeout: '1min', restart_pending: true })).toMatchObject({
      status: 200,
      body: 'restarted successfully',
    });
    expect(operator.calls).toEqual([['restart', { role: 'primary', postgresVersion: '15.4', timeoutSeconds: 60, restartPending: true }]]);
    operator.outcome = { ok: false, status: 503, message: 'restart conditions are not satisfied' };
    expect(await call(`${base}/restart`, 'POST')).toMatchObject({ status: 503, body: 'restart conditions are not satisfied' });
  });

  test('restart later', async () => {
    const body = { schedule: '2090-01-01T00:00Z', role: 'replica', timeout: '60' };
    expect(await post('/restart', body)).toMatchObject({ status: 202, body: 'Restart scheduled' });
    const kept = {
      schedule: '2090-01-01T00:00:00+00:00',
      role: 'replica',
      timeout: '60',
      postmaster_start_time: '2026-11-22 20:00:00.123456+00:00',
    };
    expect(operator.calls[0]).toEqual(['scheduleRestart', kept, { role: 'replica', timeoutSeconds: 60 }, Date.UTC(2090, 0, 1)]);
    expect(await post('/restart', body)).toMatchObject({ status: 409, body: 'Another restart is already scheduled' });
    expect(await call(`${base}/restart`, 'DELETE')).toMatchObject({ status: 200, body: 'scheduled restart deleted' });
    expect(await call(`${base}/restart`, 'DELETE')).toMatchObject({ status: 404, body: 'no restarts are scheduled' });
  });

  test('reload', async () => {
    expect(await call(`${base}/reload`, 'POST')).toMatchObject({ status: 202, body: 'reload scheduled' });
    expect(operator.calls[0]).toEqual(['reload']);
    operator.waiting = ['etcd3.hosts', 'restapi.listen'];
    expect(await call(`${base}/reload`, 'POST')).toMatchObject({
      status: 202,
      body: 'reload scheduled',
      headers: { 'regent-note': 'not in force before the agent is restarted: etcd3.hosts, restapi.listen' },
    });
  });

  test('reinitialize', async () => {
    operator.now = aReplicaStatus();
    expect(await post('/reinitialize', { force: 'maybe' })).toMatchObject({ status: 400 });
    expect(await post('/reinitialize', { force: true, from_leader: 'on' })).toMatchObject({ status: 200, body: 'reinitialize started' });
    expect(operator.calls).toEqual([['reinitialize', { force: true, fromLeader: true }]]);
    operator.outcome = { ok: true, message: 'reinitialize started', job: 'm1-1' };
    expect(await call(`${base}/reinitialize`, 'POST')).toMatchObject({ body: 'reinitialize started', headers: { 'regent-job': 'm1-1' } });
    const reinitialization = { job: 'm1-1', state: 'failed', reason: 'reinitialize failed: no answer' } as const;
    operator.now = { ...operator.now, reinitialization };
    expect(JSON.parse((await call(`${base}/patroni`)).body)).toMatchObject({ regent: { reinitialize: reinitialization } });
  });

  test('failsafe: off, agreed to, refused', async () => {
    expect((await post('/failsafe', { name: 'pg-2' })).status).toBe(502);
    operator.failsafeAnswer = { kind: 'accepted', lsn: toLsn(0x3000000) };
    expect(await post('/failsafe', { name: 'pg-2' })).toMatchObject({ status: 200, body: 'Accepted', headers: { lsn: '50331648' } });
    operator.failsafeAnswer = { kind: 'refused', because: 'Running as a leader' };
    expect(await post('/failsafe', { name: 'pg-2' })).toMatchObject({ status: 500, body: 'Running as a leader' });
    expect(operator.calls).toContainEqual(['askedForFailsafe', { name: 'pg-2' }]);
    expect((await call(`${base}/failsafe`, 'POST', '{}')).status).toBe(400);
  });

  test('an unknown method is 501', async () => {
    for (const [method, path] of [
      ['POST', '/nonsense'],
      ['DELETE', '/config'],
      ['PUT', '/reload'],
    ] as const) {
      expect((await call(base + path, method, '{"a": 1}')).status).toBe(501);
    }
  });
});

test('a moved listener answers at the new place, an impossible one leaves the old', async () => {
  const old = base;
  await server.reconfigure(restSettings({ serverTokens: 'productonly' }));
  expect((await call(`${old}/primary`)).headers['server']).toBe('Regent');
  const authentication = { username: 'u', password: 'p' };
  await server.reconfigure(restSettings({ listenHost: '192.0.2.1', listenPort: 65000, authentication }));
  expect(log.lines.join('\n')).toContain('REST API keeps its old settings: the REST API cannot listen on 192.0.2.1:65000');
  expect((await call(`${old}/primary`)).headers['server']).toBe('Regent');
  expect((await call(`${old}/reload`, 'POST')).status).toBe(202);
  await server.reconfigure(restSettings({ listenHost: 'localhost', authentication }));
  expect((await call(`http://127.0.0.1:${server.port}/reload`, 'POST')).status).toBe(401);
  expect(`http://127.0.0.1:${server.port}`).not.toBe(old);
  await expect(call(`${old}/primary`)).rejects.toThrow('ECONNREFUSED');
});
