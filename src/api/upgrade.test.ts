import { afterEach, describe, expect, test } from 'vitest';
import { restSettings } from '../../test/fixtures/agent.ts';
import { CertificateWorkshop } from '../../test/fixtures/certificates.ts';
import { raw } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import type { RestSettings } from '../core/settings.ts';
import { type RestServer, startRestServer } from './server.ts';
import type { LinkDoor } from './upgrade.ts';

let server: RestServer | null = null;
let operator: MemoryOperatorPort;

async function serve(settings: Partial<RestSettings>, links?: LinkDoor): Promise<RestServer> {
  operator = new MemoryOperatorPort();
  const all = restSettings(settings);
  const parts = { operator, log: keptLog(), clock: realClock, peers: somePeers({}), validateConfig: () => [] };
  server = await startRestServer({ ...parts, settings: all, ...(links && { links }) });
  return server;
}

afterEach(async () => {
  await server?.close();
  server = null;
});

const taking: LinkDoor = {
  accept: ({ socket, head }) => {
    socket.end(`taken with ${head.length} bytes`);
    return null;
  },
};
const OPENING = 'GET /link HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: regent-link\r\n';

describe('a link', () => {
  test('is handed on with what came after the request', async () => {
    const { port } = await serve({}, taking);
    expect(await raw(port, `${OPENING}\r\nabc`, { until: 'close' })).toBe('taken with 3 bytes');
  });

  test.each<[Partial<RestSettings>, string]>([
    [{ authentication: { username: 'a', password: 'b' } }, '401 Unauthorized'],
    [{ allowlist: ['192.0.2.1'] }, '403 Forbidden'],
  ])('is refused as a change is: %j', async (settings, status) => {
    const { port } = await serve({ ...settings, httpExtraHeaders: { 'X-Frame-Options': 'DENY' } }, taking);
    const answer = await raw(port, `${OPENING}\r\n`, { until: 'close' });
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status}\r\n`));
    const change = await raw(port, 'POST /reload HTTP/1.1\r\nConnection: close\r\n\r\n', { until: 'close' });
    const comparable = (text: string) =>
      text
        .replace(/^Date: .*\r\n/m, '')
        .split('\r\n')
        .sort();
    expect(comparable(answer)).toEqual(comparable(change));
  });

  test('is let in with the password, and refused with what the door says', async () => {
    const busy: LinkDoor = { accept: () => ({ status: 503, message: 'busy' }) };
    const { port } = await serve({ authentication: { username: 'a', password: 'b' } }, busy);
    const answer = await raw(port, `${OPENING}Authorization: Basic YTpi\r\n\r\n`, { until: 'close' });
    expect(answer).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n(.+\r\n)+\r\nbusy$/);
  });

  test('does not end the agent when the door has a bug', async () => {
    const { port } = await serve(
      {},
      {
        accept: () => {
          throw new Error('bug');
        },
      },
    );
    expect(await raw(port, `${OPENING}\r\n`, { until: 'close' })).toMatch(/^HTTP\/1.1 500 /);
  });
});

describe('another protocol that a client offers is passed over', () => {
  const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
  const settled = (text: string) => text.replace(/^Date: .*\r\n/gm, '');

  test.each([
    ['GET /primary HTTP/1.1\r\n', ''],
    ['HEAD /replica HTTP/1.1\r\nX-Empty:\r\n', ''],
    ['GET /link HTTP/1.1\r\n', ''],
    ['PATCH /config HTTP/1.1\r\nContent-Length: 11\r\n', '{"ttl": 20}'],
    ['PATCH /config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n', 'b\r\n{"ttl": 20}\r\n0\r\n\r\n'],
    ['GET /history HTTP/1.1\r\nExpect: 100-continue\r\n', 'GET /liveness HTTP/1.1\r\n\r\n'],
  ])('%j', async (head, rest) => {
    const { port } = await serve({}, taking);
    const offering = await raw(port, `${head}${H2C}\r\n${rest}`);
    expect(offering).toMatch(/^HTTP\/1.[01] [1245]/);
    await server!.close();
    const { port: other } = await serve({}, taking);
    expect(settled(offering)).toBe(settled(await raw(other, `${head}\r\n${rest}`)));
  });

  test('over TLS, and where nobody takes links', async () => {
    const workshop = new CertificateWorkshop();
    const { cert, key } = workshop.issue('node');
    try {
      const { port } = await serve({ certfile: cert, keyfile: key }, taking);
      expect(await raw(port, `GET /primary HTTP/1.1\r\n${H2C}\r\n`, { tls: true, until: 'first' })).toMatch(/^HTTP\/1.1 200 OK/);
      expect(await raw(port, `${OPENING}\r\n`, { tls: true, until: 'close' })).toBe('taken with 0 bytes');
    } finally {
      workshop.remove();
    }
    await server!.close();
    const { port } = await serve({});
    expect(await raw(port, `${OPENING.replace('link', 'primary')}\r\n`, { until: 'first' })).toMatch(/^HTTP\/1.1 200 OK/);
  });
});
