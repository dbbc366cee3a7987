import { afterEach, beforeEach, expect, test } from 'vitest';
import { aReplicaStatus, aStandbySql, aStatus, restSettings } from '../../test/fixtures/agent.ts';
import { call, raw } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import { toLsn } from '../core/units.ts';
import { type RestServer, startRestServer } from './server.ts';

let operator: MemoryOperatorPort;
let server: RestServer;
let base: string;

beforeEach(async () => {
  operator = new MemoryOperatorPort();
  const settings = restSettings();
  server = await startRestServer({ operator, settings, log: keptLog(), clock: realClock, peers: somePeers({}), validateConfig: () => [] });
  base = `http://127.0.0.1:${server.port}`;
});

afterEach(() => server.close());

test('a check that names a lag is judged by PostgreSQL as it is now, any other by the last round', async () => {
  operator.now = aReplicaStatus();
  operator.fresh = aReplicaStatus({ sql: aStandbySql({ replayLsn: toLsn(1) }) });
  for (const path of ['/replica?lag=1MB', '/read-only?lag=1MB', '/async?lag=1MB', '/readiness', '/readiness?lag=1MB']) {
    expect([path, (await call(base + path)).status]).toEqual([path, 503]);
    expect([path, (await call(base + path, 'HEAD')).status]).toEqual([path, 503]);
  }
  expect(JSON.parse((await call(`${base}/replica?lag=1MB`)).body)).toMatchObject({ xlog: { replayed_location: 1 } });
  expect((await call(`${base}/metrics`)).body).toMatch(/^patroni_xlog_replayed_location\{.*\} 1$/m);
  expect((await call(`${base}/readiness?mode=write`)).status).toBe(200);
  operator.freshAsked = 0;
  for (const path of ['/replica', '/replica?lag=much', '/read-only', '/replica?replication_state=streaming']) {
    expect([path, (await call(base + path)).status]).toEqual([path, 200]);
    expect([path, (await call(base + path, 'OPTIONS')).status]).toEqual([path, 200]);
  }
  operator.now = aStatus();
  expect((await call(`${base}/primary?lag=1MB`)).status).toBe(200);
  expect(operator.freshAsked).toBe(0);
});

test('a check without a body is answered as Patroni does, with a line and nothing else, and ends the connection', async () => {
  for (const [line, answer] of [
    ['OPTIONS /primary HTTP/1.0', '200 OK'],
    ['HEAD /primary HTTP/1.1', '200 OK'],
    ['HEAD /replica?lag=1MB HTTP/1.1', '503 Service Unavailable'],
    ['GET /readiness HTTP/1.1', '200 OK'],
    ['GET /liveness HTTP/1.1', '200 OK'],
    ['HEAD /liveness HTTP/1.1', '503 Service Unavailable'],
    ['OPTIONS /metrics HTTP/1.1', '503 Service Unavailable'],
  ]) {
    expect(await raw(server.port, `${line}\r\n\r\n`, { until: 'close' })).toBe(`HTTP/1.0 ${answer}\r\n\r\n`);
  }
});
