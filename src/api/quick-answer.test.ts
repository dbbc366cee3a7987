/**
 * Every answer by heart is compared with the one that Node's HTTP server gives to the same bytes.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { aReplicaStatus, aStatus, restSettings } from '../../test/fixtures/agent.ts';
import { CertificateWorkshop } from '../../test/fixtures/certificates.ts';
import { raw } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import type { CheckFacts } from '../ports/operator.ts';
import type { ApiContext } from './context.ts';
import { type Listener, openListener } from './listener.ts';
import { type QuickAnswers, quickAnswers } from './quick-answer.ts';
import { replyToLine, respond } from './respond.ts';

const workshop = new CertificateWorkshop();
const node = workshop.issue('node', 'IP:127.0.0.1');
const operator = new MemoryOperatorPort();
const context: ApiContext = { operator, log: keptLog(), clock: realClock, peers: somePeers({}), validateConfig: () => [] };
const headers = { Server: 'Regent/1', 'X-Frame-Options': 'DENY' };
const quickly = quickAnswers(context);
let byHeart = 0;
let listeners: Listener[] = [];

const open = (answers: QuickAnswers, tls: boolean) =>
  openListener(
    restSettings(tls ? { certfile: node.cert, keyfile: node.key } : {}),
    {
      onRequest: (request, response) => respond(context, { check: async () => null }, headers, request, response),
      quickAnswer: (packet) => answers(packet, headers),
      replyToLine: (method, url) => replyToLine(context, method, url),
      onUpgrade: () => false,
    },
    realClock,
    context.log,
  );

const counted: QuickAnswers = (...packet) => {
  const answer = quickly(...packet);
  if (answer !== null) byHeart += 1;
  return answer;
};

beforeAll(async () => {
  listeners = await Promise.all([open(counted, false), open(() => null, false), open(counted, true), open(() => null, true)]);
});
afterAll(async () => {
  await Promise.all(listeners.map((listener) => listener.close()));
  workshop.remove();
});
beforeEach(() => {
  byHeart = 0;
});

const sameSecond = (answer: string) => answer.replaceAll(/^Date: [A-Z].{27}T\r$/gm, 'Date: \r');

/** Both answers to the same bytes; how many of them came by heart. */
async function both(bytes: string, tls = false): Promise<readonly [string, string, number]> {
  const [quick, parsed] = listeners.slice(tls ? 2 : 0).map(({ port }) => port);
  const ends = !bytes.startsWith('GET') || /close|HTTP\/1\.0\r\n(?!.*keep-alive)/is.test(bytes);
  const until = { tls, until: ends ? 'close' : 'first' } as const;
  const answers = await Promise.all([raw(quick!, bytes, until), raw(parsed!, bytes, until)]);
  return [sameSecond(answers[0]!), sameSecond(answers[1]!), byHeart];
}

const PATHS = ['/', '/primary', '/master', '/leader', '/replica', '/read-only', '/read-write', '/standby-leader', '/standby_leader'];
const MORE_PATHS = ['/sync', '/async', '/quorum', '/health', '/read-only-sync', '/nonsense', '/liveness', '/patroni'];
/** As HAProxy, curl, Kubernetes and F5 send them, and people by hand. */
const FORMS: readonly (readonly [string, (path: string) => string])[] = [
  ['HAProxy', (path) => `OPTIONS ${path} HTTP/1.0\r\n\r\n`],
  ['HAProxy, with a host', (path) => `OPTIONS ${path} HTTP/1.1\r\nhost: pg\r\nconnection: close\r\n\r\n`],
  ['HAProxy, HEAD', (path) => `HEAD ${path} HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n`],
  ['curl', (path) => `HEAD ${path} HTTP/1.1\r\nHost: pg:8008\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n`],
  ['F5', (path) => `OPTIONS ${path} HTTP/1.1\r\nHost:\r\nConnection: Keep-Alive\r\n\r\n`],
  ['HTTP/1.0, kept', (path) => `HEAD ${path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`],
];
const GETS: typeof FORMS = [
  ['GET, HTTP/1.0', (path) => `GET ${path} HTTP/1.0\r\n\r\n`],
  ['GET, curl', (path) => `GET ${path} HTTP/1.1\r\nHost: pg:8008\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n`],
  ['GET, Kubernetes', (path) => `GET ${path} HTTP/1.1\r\nHost: 10.0.0.1:8008\r\nUser-Agent: kube-probe/1.30\r\nConnection: close\r\n\r\n`],
];

describe('is byte by byte what the HTTP server answers', () => {
  const member = { 'a primary': operator.now, 'a replica': aReplicaStatus(), 'a replica called pgä': { ...aReplicaStatus(), name: 'pgä' } };
  for (const [what, status] of Object.entries(member)) {
    test.each(FORMS)(`on ${what}: %s`, async (_form, bytes) => {
      operator.now = status;
      for (const path of [...PATHS, ...MORE_PATHS]) {
        const [quick, parsed] = await both(bytes(path));
        expect(quick).toBe(parsed);
      }
      expect(byHeart).toBe(PATHS.length + MORE_PATHS.length);
    });

    test.each(GETS)(`on ${what}: %s`, async (_form, bytes) => {
      operator.now = status;
      for (const path of [...PATHS, ...MORE_PATHS]) {
        const [quick, parsed] = await both(bytes(path));
        expect(quick).toBe(parsed);
      }
      expect(byHeart).toBe(PATHS.length + MORE_PATHS.length - 2);
    });
  }

  test('over TLS', async () => {
    for (const [, bytes] of [...FORMS, ...GETS]) {
      const [quick, parsed] = await both(bytes('/primary'), true);
      expect(quick).toBe(parsed);
    }
    expect(byHeart).toBe(FORMS.length + GETS.length);
  });
});

test.each([
  ['a query', 'OPTIONS /replica?lag=1MB HTTP/1.0\r\n\r\n'],
  ['two slashes', 'OPTIONS //primary HTTP/1.0\r\n\r\n'],
  ['a body', 'GET /primary HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}'],
  ['a body of unknown length', 'OPTIONS /primary HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n'],
  ['an expectation', 'GET /primary HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n'],
  ['two wishes', 'OPTIONS /primary HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n'],
  ['two requests', 'OPTIONS /primary HTTP/1.1\r\n\r\nOPTIONS /replica HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ['a bare line feed', 'OPTIONS /primary HTTP/1.0\n\n'],
  ['another method', 'DELETE /primary HTTP/1.0\r\n\r\n'],
  ['more than a check needs', `OPTIONS /primary HTTP/1.0\r\nX: ${'y'.repeat(1024)}\r\n\r\n`],
])('leaves to the HTTP server: %s', async (_what, bytes) => {
  const [quick, parsed] = await both(bytes);
  expect(quick).toBe(parsed);
  expect(byHeart).toBe(0);
});

/** What the server says after each of the packets, sent one after the other. */
async function conversation(packets: readonly string[], port = listeners[0]!.port): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  const said: string[] = [];
  for (const packet of packets) {
    socket.write(packet);
    if (packet.endsWith('\r\n\r\n')) said.push(await new Promise((resolve) => socket.once('data', (data) => resolve(String(data)))));
    else await new Promise((resolve) => setImmediate(resolve));
  }
  socket.destroy();
  return said.map((text) => text.split('\r\n', 1)[0]!);
}

test('a kept connection changes between both at will, and a split request is read whole', async () => {
  operator.now = aReplicaStatus();
  const packets = ['/primary', '/replica', '/replica?lag=1MB', '/primary', '/replica'].map((path) => `GET ${path} HTTP/1.1\r\n\r\n`);
  expect(await conversation(packets)).toEqual([503, 200, 200, 503, 200].map(expectedLine));
  expect(byHeart).toBe(2);
  const split = ['GET /repl', 'ica HTTP/1.1\r\nHost: a\r\n\r\n'];
  expect(await conversation(split)).toEqual([expectedLine(200)]);
});

const expectedLine = (code: number) => `HTTP/1.1 ${code} ${code === 200 ? 'OK' : 'Service Unavailable'}`;

test('an answer is made again when the facts are others, and only then', () => {
  let looks = 0;
  const facts = (isLeader: boolean): CheckFacts => {
    const all = { status: { ...aStatus(), isLeader }, view: operator.view(), settings: operator.settings() };
    const get = (target: typeof all, key: string) => {
      looks += 1;
      return Reflect.get(target, key);
    };
    return new Proxy(all, { get: get as never });
  };
  let now = facts(true);
  const answers = quickAnswers({ clock: { ...realClock, wallMs: () => 0 }, operator: { ...operator, checkFacts: () => now } as never });
  const ask = () => answers(Buffer.from('OPTIONS /primary HTTP/1.0\r\n\r\n'), {})?.text;
  const first = 'HTTP/1.0 200 OK\r\n\r\n';
  expect(ask()).toBe(first);
  const once = looks;
  expect(once).toBeGreaterThan(0);
  expect(ask()).toBe(first);
  expect(looks).toBe(once);
  now = facts(false);
  expect(ask()).toBe('HTTP/1.0 503 Service Unavailable\r\n\r\n');
});

test('closing the listener ends silent and kept connections', async () => {
  const listener = await open(counted, false);
  const sockets = [connect(listener.port, '127.0.0.1'), connect(listener.port, '127.0.0.1')];
  const gone = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined)));
  const answered = new Promise((resolve) => sockets[0]!.once('data', resolve));
  sockets[0]!.write('GET /primary HTTP/1.1\r\n\r\n');
  await answered;
  await listener.close();
  await Promise.all(gone);
});
