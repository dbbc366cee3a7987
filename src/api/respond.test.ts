import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { aMember, aView, restSettings, someSettings } from '../../test/fixtures/agent.ts';
import { call, raw } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import { targetOf } from './respond.ts';
import { type RestServer, startRestServer } from './server.ts';

let operator: MemoryOperatorPort;
let server: RestServer;
let base: string;
const log = keptLog();

beforeEach(async () => {
  operator = new MemoryOperatorPort();
  log.lines.length = 0;
  server = await startRestServer({
    operator,
    settings: restSettings(),
    log,
    clock: realClock,
    peers: somePeers({}),
    validateConfig: () => [],
  });
  base = `http://127.0.0.1:${server.port}`;
});

afterEach(() => server.close());

test.each([
  ['/', '/', ''],
  ['/config/x?a=1', '/config/x', 'config'],
  ['//primary', '/primary', 'primary'],
  ['http://proxy:80/primary?x', '/primary', 'primary'],
  ['*', '/*', '*'],
])('%s', (url, path, segment) => {
  expect(targetOf(url)).toMatchObject({ path, segment });
});

test('no input makes it fail or leaves it unanswered', async () => {
  operator.inForce = someSettings({ dynamic: { loopWaitSeconds: 1 } });
  // Possible switchovers are covered above; here everything stays impossible, so that none waits.
  operator.cluster = aView({ members: [aMember('pg-1')] });
  const segment = fc.constantFrom(
    '',
    'config',
    'switchover',
    'failover',
    'restart',
    'reload',
    'reinitialize',
    'patroni',
    'cluster',
    'primary',
    'failsafe',
  );
  const keys = fc.constantFrom(
    'leader',
    'candidate',
    'member',
    'scheduled_at',
    'schedule',
    'role',
    'timeout',
    'postgres_version',
    'force',
    'ttl',
    '__proto__',
  );
  const body = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.dictionary(keys, fc.jsonValue(), { minKeys: 1 }).map((value) => JSON.stringify(value)),
  );
  const method = fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE');
  const path = fc.tuple(segment, fc.webPath(), fc.option(fc.webQueryParameters()));
  await fc.assert(
    fc.asyncProperty(method, path, body, async (verb, [first, rest, query], text) => {
      const reply = await call(`${base}/${first}${rest}${query === null ? '' : `?${query}`}`, verb, text);
      expect([200, 202, 400, 404, 409, 411, 412, 422, 501, 502, 503]).toContain(reply.status);
    }),
    { numRuns: 400 },
  );
  expect(log.lines.filter((line) => line.startsWith('error'))).toEqual([]);
});

test('bytes that are not HTTP do no harm', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      await raw(server.port, Buffer.concat([Buffer.from(bytes), Buffer.from('\r\n\r\n')]));
    }),
    { numRuns: 60 },
  );
  expect((await call(`${base}/liveness`)).status).toBe(200);
});
