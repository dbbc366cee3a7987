import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { aReplicaStatus, restSettings } from '../../test/fixtures/agent.ts';
import { CertificateWorkshop } from '../../test/fixtures/certificates.ts';
import { raw } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import { type RestServer, startRestServer } from './server.ts';

const workshop = new CertificateWorkshop();
const node = workshop.issue('node', 'IP:127.0.0.1');
let operator: MemoryOperatorPort;
let server: RestServer | null = null;

async function serve(tls: boolean): Promise<number> {
  operator = new MemoryOperatorPort();
  const settings = restSettings(tls ? { certfile: node.cert, keyfile: node.key } : {});
  server = await startRestServer({ operator, settings, log: keptLog(), clock: realClock, peers: somePeers({}), validateConfig: () => [] });
  return server.port;
}

afterEach(() => server?.close());
afterAll(() => workshop.remove());

const status = (answer: string) => Number(/^HTTP\/1\.[01] (\d{3}) /.exec(answer)?.[1]);
const many = Array.from({ length: 90 }, (_, i) => `X-${i}: ${'y'.repeat(400)}\r\n`).join('');

/**
 * Each as a balancer or an operator writes it by hand; Patroni's server answers all of them with
 * the code of the check.
 */
const CHECKS: readonly (readonly [string, (path: string) => string])[] = [
  ['HTTP/1.1 without Host', (path) => `GET ${path} HTTP/1.1\r\n\r\n`],
  ['HTTP/1.1 with an empty Host', (path) => `GET ${path} HTTP/1.1\r\nHost:\r\n\r\n`],
  ['two Hosts', (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`],
  ['HTTP/1.0', (path) => `GET ${path} HTTP/1.0\r\n\r\n`],
  ['HTTP/1.0 and keep-alive', (path) => `GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`],
  ['HAProxy’s option httpchk', (path) => `OPTIONS ${path} HTTP/1.0\r\n\r\n`],
  ['HAProxy’s option httpchk of 2.x', (path) => `OPTIONS ${path} HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n`],
  ['HEAD without Host', (path) => `HEAD ${path} HTTP/1.1\r\n\r\n`],
  ['HTTP/0.9', (path) => `GET ${path}\r\n\r\n`],
  ['HTTP/0.9 with bare line feeds', (path) => `GET ${path}\n\n`],
  ['bare line feeds', (path) => `GET ${path} HTTP/1.1\nHost: a\n\n`],
  ['bare line feeds and OPTIONS', (path) => `OPTIONS ${path} HTTP/1.0\n\n`],
  ['an absolute URI', (path) => `GET http://pg-1:8008${path} HTTP/1.1\r\n\r\n`],
  ['a doubled slash', (path) => `GET /${path} HTTP/1.1\r\n\r\n`],
  ['no slash', (path) => `GET ${path.slice(1)} HTTP/1.1\r\n\r\n`],
  ['HTTP/1.2', (path) => `GET ${path} HTTP/1.2\r\n\r\n`],
  ['a header with a blank before its colon', (path) => `GET ${path} HTTP/1.1\r\nHost : a\r\n\r\n`],
  ['a header without a colon', (path) => `GET ${path} HTTP/1.1\r\nfoo\r\n\r\n`],
  ['a folded header', (path) => `GET ${path} HTTP/1.1\r\nX: a\r\n b\r\n\r\n`],
  ['a control character', (path) => `GET ${path} HTTP/1.1\r\nX: a\u0001b\r\n\r\n`],
  ['two lengths', (path) => `GET ${path} HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n`],
  ['an unknown expectation', (path) => `GET ${path} HTTP/1.1\r\nExpect: the-best\r\n\r\n`],
  [
    'an upgrade to HTTP/2',
    (path) => `GET ${path} HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n`,
  ],
  ['a long query', (path) => `GET ${path}?${'x'.repeat(60_000)} HTTP/1.1\r\n\r\n`],
  ['many headers', (path) => `GET ${path} HTTP/1.1\r\n${many}\r\n`],
];

describe.each([
  ['plain', false],
  ['TLS', true],
])('checks as they are, %s', (_, tls) => {
  test('each has the code of the check', async () => {
    const port = await serve(tls);
    const seen = await Promise.all(
      CHECKS.map(async ([name, text]) => {
        const [good, bad] = await Promise.all(['/primary', '/replica'].map((path) => raw(port, text(path), { tls, until: 'first' })));
        return [name, status(good!), status(bad!)];
      }),
    );
    expect(seen).toEqual(CHECKS.map(([name]) => [name, 200, 503]));
  });
});

test('a check that Node’s parser refuses has the body of one that it reads, and ends the connection', async () => {
  const port = await serve(false);
  operator.now = aReplicaStatus();
  const odd = await raw(port, 'GET /replica HTTP/1.1\nHost: a\n\n', { until: 'close' });
  expect(odd).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: application\/json\r\nContent-Length: \d+\r\nConnection: close\r\n\r\n\{"state"/);
  const body = odd.slice(odd.indexOf('\r\n\r\n') + 4);
  expect(JSON.parse(body)).toMatchObject({ role: 'replica', state: 'running' });
  expect(await raw(port, 'OPTIONS /primary HTTP/1.0\n\n', { until: 'close' })).toBe('HTTP/1.0 503 Service Unavailable\r\n\r\n');
  expect(status(await raw(port, 'GET /liveness HTTP/1.0\n\n', { until: 'close' }))).toBe(200);
});

test('other requests are refused as before, and change nothing', async () => {
  const port = await serve(false);
  const body = '{"leader": "pg-1"}';
  for (const text of [
    'POST /reload HTTP/1.1\n\n',
    `POST /switchover HTTP/1.1\nContent-Length: ${body.length}\n\n${body}`,
    'GET /patroni HTTP/1.1\n\n',
    'GET /primary now HTTP/1.1\r\n\r\n',
    '\u0016\u0003\u0001 GET /primary HTTP/1.0\n\n',
  ]) {
    expect([text, await raw(port, text, { until: 'close' })]).toEqual([text, 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n']);
  }
  for (const method of ['FOO', 'CONNECT', 'TRACE']) {
    expect([method, status(await raw(port, `${method} /primary HTTP/1.1\r\n\r\n`, { until: 'close' }))]).toEqual([method, 501]);
  }
  expect(status(await raw(port, `GET /primary?${'x'.repeat(70_000)} HTTP/1.1\r\n\r\n`, { until: 'close' }))).toBe(431);
  expect(operator.calls).toEqual([]);
});

test('several checks over one connection are answered each, until one without a body ends it', async () => {
  const port = await serve(false);
  const three = 'GET /primary HTTP/1.1\r\n\r\nGET /replica HTTP/1.1\r\n\r\nHEAD /primary HTTP/1.1\r\n\r\nGET /primary HTTP/1.1\r\n\r\n';
  const answers = await raw(port, three, { until: 'close' });
  expect(answers.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 503', 'HTTP/1.1 200']);
});
