import { lookup } from 'node:dns';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type LookupFunction, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { aMember, restSettings } from '../../../test/fixtures/agent.ts';
import { type Certificate, CertificateWorkshop } from '../../../test/fixtures/certificates.ts';
import { keptLog, realClock } from '../../../test/fixtures/operator-port.ts';
import type { CtlSettings } from '../../core/settings.ts';
import { cachingLookup, type Resolve } from '../dns/lookup.ts';
import { createPeers, type HttpPeers } from './http-peers.ts';

const servers: (Server | TcpServer)[] = [];
let peers: HttpPeers | null = null;
const ctl: CtlSettings = { insecure: false, cacert: null, certfile: null, keyfile: null, keyfilePassword: null, authentication: null };
const BODY =
  '{"state": "running", "role": "replica", "xlog": {"received_location": 9007199254740993, "replayed_location": 5}, "timeline": 2}';

afterEach(async () => {
  peers?.close();
  await Promise.all(
    servers.splice(0).map(
      (server) =>
        new Promise((resolve) => {
          server.close(resolve);
          if ('closeAllConnections' in server) server.closeAllConnections();
        }),
    ),
  );
});

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const serve = (listener: RequestListener) => listen(createServer(listener));
const memberAt = (name: string, port: number, scheme = 'http') => aMember(name, { apiUrl: `${scheme}://127.0.0.1:${port}/patroni` });
let lastLog: ReturnType<typeof keptLog>;
const make = (over: Partial<CtlSettings> = {}, find: LookupFunction = lookup) => {
  const settings = () => ({ ctl: { ...ctl, ...over }, restapi: restSettings() });
  lastLog = keptLog();
  peers = createPeers({ settings, log: lastLog, clock: realClock, lookup: find });
  return peers;
};

test('a member that is known by its host name is found although the resolver is gone meanwhile', async () => {
  let isResolverThere = true;
  const asked: string[] = [];
  const resolve: Resolve = (host, done) => {
    asked.push(host);
    if (isResolverThere) done(null, [{ address: '127.0.0.1', family: 4 }]);
  };
  const find = cachingLookup(realClock, { freshMs: 60_000, resolve });
  const { port } = new URL(memberAt('b', await serve((_, response) => response.end(BODY))).apiUrl!);
  const member = aMember('b', { apiUrl: `http://node-b.test:${port}/patroni` });
  const asking = make({}, find);
  asking.prepare([member, memberAt('c', 1)]);
  isResolverThere = false;
  expect([...(await asking.ask([member], { timeoutMs: 3000 })).keys()]).toEqual(['b']);
  expect(asked.filter((host) => host.endsWith('.test'))).toEqual(['node-b.test']);
});

test('an answer that comes too late is no answer, but its connection serves the next question', async () => {
  let connections = 0;
  let answerFirst = () => {};
  const server = createServer((_, response) => {
    if (connections === 1) answerFirst = () => response.end(BODY);
    else response.end(BODY);
  });
  server.on('connection', () => (connections += 1));
  const member = memberAt('b', await listen(server));
  const asking = make();
  expect((await asking.ask([member], { timeoutMs: 100 })).size).toBe(0);
  answerFirst();
  answerFirst = () => {};
  // The answer is on its way through the loopback.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  const next = asking.ask([member], { timeoutMs: 3000 });
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  answerFirst();
  expect((await next).size).toBe(1);
  expect(connections).toBe(1);
});

test('asks all at once; a peer that is silent, broken or gone is absent, and costs no more than the time given', async () => {
  const good = await serve((_, response) => response.end(BODY));
  const silent = await serve(() => {});
  const dripping = await serve((_, response) => response.writeHead(200).write('{'));
  const babbling = await serve((_, response) => response.end('not JSON'));
  const endless = await serve((_, response) => response.end(Buffer.alloc(2 * 1024 * 1024, 32)));
  const cutShort = await serve((_, response) => {
    response.writeHead(200, { 'Content-Length': 1000 }).write(BODY);
    setTimeout(() => response.destroy(), 10);
  });
  const members = [
    memberAt('good', good),
    memberAt('silent', silent),
    memberAt('dripping', dripping),
    memberAt('babbling', babbling),
    memberAt('endless', endless),
    memberAt('cut-short', cutShort),
    memberAt('gone', 1),
    aMember('nameless', { apiUrl: null }),
    aMember('odd', { apiUrl: 'ftp://127.0.0.1/' }),
  ];
  const started = performance.now();
  const answers = await make().ask(members, { timeoutMs: 1500 });
  expect(performance.now() - started, 'somebody was waited for without a deadline').toBeLessThan(10_000);
  expect([...answers.keys()]).toEqual(['good']);
  expect(answers.get('good')).toMatchObject({ lsn: 9007199254740993n, timeline: 2 });
});

test('connections are kept, and one closed by the peer meanwhile does not count as a dead peer', async () => {
  let connections = 0;
  const port = await listen(
    createServer((_, response) => response.end(BODY)).on('connection', () => {
      connections++;
    }),
  );
  const member = [memberAt('a', port)];
  make();
  await peers!.ask(member, { timeoutMs: 1000 });
  await peers!.ask(member, { timeoutMs: 1000 });
  expect(connections).toBe(1);
});

test('a connection that dies under a second request is replaced once', async () => {
  // Answers the first request of each connection, resets at the second.
  let connections = 0;
  const port = await listen(
    createTcpServer((socket) => {
      connections++;
      let requests = 0;
      socket.on('error', () => {});
      socket.on('data', () => {
        if (++requests > 1) socket.resetAndDestroy();
        else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
      });
    }),
  );
  make();
  for (let round = 0; round < 3; round++) {
    expect((await peers!.ask([memberAt('a', port)], { timeoutMs: 1000 })).size).toBe(1);
  }
  expect(connections).toBeGreaterThan(1);
  peers!.close();
});

test('an HTTP/1.0 peer that ends its body by closing is understood', async () => {
  const port = await listen(
    createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(`HTTP/1.0 200 OK\r\nServer: old\r\n\r\n${BODY}`));
    }),
  );
  expect((await make().ask([memberAt('a', port)], { timeoutMs: 1000 })).size).toBe(1);
});

let workshop: CertificateWorkshop;
let node: Certificate;

beforeAll(() => {
  workshop = new CertificateWorkshop();
  node = workshop.issue('elsewhere');
});

afterAll(() => workshop.remove());

test('TLS: any certificate without one of our own; with one, only our authority’s, whatever its name', async () => {
  const files = (pair: Certificate) => ({ cert: readFileSync(pair.cert), key: readFileSync(pair.key) });
  const secure = (pair: Certificate) => listen(createTlsServer(files(pair), (_, response) => response.end(BODY)));
  const known = memberAt('known', await secure(node), 'https');
  const stranger = new CertificateWorkshop();
  const unknown = memberAt('unknown', await secure(stranger.issue('x')), 'https');
  stranger.remove();
  expect((await make().ask([known, unknown], { timeoutMs: 2000 })).size).toBe(2);
  peers!.close();
  make({ certfile: node.cert, keyfile: node.key, cacert: workshop.ca.cert });
  expect([...(await peers!.ask([known, unknown], { timeoutMs: 2000 })).keys()]).toEqual(['known']);
});

test('with an own certificate that cannot be used at the start, the members are still asked, and still verified', async () => {
  const files = { cert: readFileSync(node.cert), key: readFileSync(node.key) };
  const known = memberAt('known', await listen(createTlsServer(files, (_, response) => response.end(BODY))), 'https');
  const stranger = new CertificateWorkshop();
  const other = stranger.issue('x');
  const foreign = { cert: readFileSync(other.cert), key: readFileSync(other.key) };
  const unknown = memberAt('unknown', await listen(createTlsServer(foreign, (_, response) => response.end(BODY))), 'https');
  for (const [certfile, reason] of [
    ['absent.crt', 'ctl.certfile: ENOENT'],
    [other.cert, 'key values mismatch'],
  ] as const) {
    make({ certfile, keyfile: node.key, cacert: workshop.ca.cert });
    expect([...(await peers!.ask([known, unknown], { timeoutMs: 2000 })).keys()]).toEqual(['known']);
    expect(lastLog.lines.find((line) => line.startsWith('error the other members are asked without a certificate'))).toContain(reason);
    peers!.close();
  }
  stranger.remove();
});

test('a renewed client certificate is used from renew() on; an unreadable or broken one leaves the one before', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'regent-peers-'));
  const own = { certfile: join(dir, 'own.crt'), keyfile: join(dir, 'own.key'), cacert: workshop.ca.cert };
  const put = (pair: Certificate) => {
    copyFileSync(pair.cert, own.certfile);
    copyFileSync(pair.key, own.keyfile);
  };
  try {
    put(node);
    const serving = { cert: readFileSync(node.cert), key: readFileSync(node.key), ca: readFileSync(workshop.ca.cert) };
    const seen: unknown[] = [];
    const port = await listen(
      createTlsServer({ ...serving, requestCert: true, rejectUnauthorized: true }, (request, response) => {
        seen.push((request.socket as TLSSocket).getPeerCertificate().subject.CN);
        response.end(BODY);
      }),
    );
    make(own);
    const ask = () => peers!.ask([memberAt('a', port, 'https')], { timeoutMs: 2000 });
    await ask();
    put(workshop.issue('renewed'));
    await ask();
    peers!.renew();
    await ask();
    for (const spoil of [
      () => rmSync(own.certfile),
      () => writeFileSync(own.certfile, 'spoiled'),
      () => copyFileSync(node.cert, own.certfile),
    ]) {
      spoil();
      peers!.renew();
      await ask();
      expect(lastLog.lines.at(-1)).toMatch(/^error the other members are asked with the certificates from before: .*(own\.crt)/);
    }
    expect(seen).toEqual(['elsewhere', 'elsewhere', 'renewed', 'renewed', 'renewed', 'renewed']);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('asks for failsafe mode as Patroni does, with the password, and tells who refuses and how', async () => {
  const requests: { method: string | undefined; url: string | undefined; authorization: string | undefined; body: string }[] = [];
  const good = await serve((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      requests.push({ method: request.method, url: request.url, authorization: request.headers.authorization, body });
      response.end('Accepted');
    });
  });
  const leader = await serve((_, response) => response.writeHead(500).end('Running as a leader'));
  const other = await serve((_, response) => response.end('Something else'));
  let tries = 0;
  const silent = await serve(() => {
    tries += 1;
  });
  const urls = Object.fromEntries(
    Object.entries({ good, leader, other, silent }).map(([name, port]) => [name, `http://127.0.0.1:${port}/patroni`]),
  );
  const question = { name: 'a', connUrl: 'postgres://a:5432/postgres', apiUrl: 'http://a:8008/patroni', slots: { b: 5n }, ttlSeconds: 30 };
  const replies = await make({ authentication: { username: 'u', password: 'p' } }).agree(urls, question, { timeoutMs: 200 });
  expect(replies).toEqual([
    { name: 'good', refusal: null },
    { name: 'leader', refusal: '500 Running as a leader' },
    { name: 'other', refusal: '200 Something else' },
    { name: 'silent', refusal: expect.stringContaining('within') },
  ]);
  expect(tries).toBe(2);
  expect(requests).toEqual([
    {
      method: 'POST',
      url: '/failsafe',
      authorization: 'Basic dTpw',
      body: '{"name":"a","conn_url":"postgres://a:5432/postgres","api_url":"http://a:8008/patroni","slots":{"b":5},"ttl":30}',
    },
  ]);
});
