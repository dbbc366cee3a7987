import { lookup } from 'node:dns';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { aMember, restSettings } from '../../../test/fixtures/agent.ts';
import { type Certificate, CertificateWorkshop } from '../../../test/fixtures/certificates.ts';
import { type LinkNode, type LinkNodeOptions, linkNode, plainCtl } from '../../../test/fixtures/link-node.ts';
import { keptLog, realClock } from '../../../test/fixtures/operator-port.ts';
import type { JsonObject } from '../../support/json.ts';
import { createPeers } from './http-peers.ts';

const nodes: LinkNode[] = [];

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
});

async function make(name: string, options: LinkNodeOptions = {}): Promise<LinkNode> {
  const node = await linkNode(name, options);
  nodes.push(node);
  return node;
}

const LONG = { timeoutMs: 5000 };

describe('messages', () => {
  test('arrive in order over one connection, which is opened by the first, and each gets its own answer', async () => {
    let answerFirst: (answer: JsonObject) => void = () => {};
    const slow = new Promise<JsonObject>((resolve) => {
      answerFirst = resolve;
    });
    const b = await make('b', { asked: (_, message) => (message['n'] === 0 ? slow : { n: message['n']! }) });
    const a = await make('a');
    const first = a.links.ask(b.member, { n: 0 }, LONG);
    const others = await Promise.all([1, 2, 3].map((n) => a.links.ask(b.member, { n }, LONG)));
    expect(others).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    answerFirst({ late: true });
    expect(await first).toEqual({ late: true });
    expect(b.heard).toEqual(['a: {"n":0}', 'a: {"n":1}', 'a: {"n":2}', 'a: {"n":3}']);
    a.links.close();
    expect((await b.hears(5)).at(-1)).toBe('a lost');
  });

  test('go both ways and to several members at once, and are carried whole', async () => {
    const [a, b, c] = [await make('a'), await make('b'), await make('ü c')];
    const message = { text: 'Zeile\n"ü" 🐘', lsn: 2n ** 60n, small: -1.5, nothing: null, list: [{}] };
    const [ab, ac, ba] = await Promise.all([
      a.links.ask(b.member, message, LONG),
      a.links.ask(c.member, message, LONG),
      b.links.ask(a.member, {}, LONG),
    ]);
    expect([ab, ac, ba]).toEqual([
      { to: 'b', echo: message },
      { to: 'ü c', echo: message },
      { to: 'a', echo: {} },
    ]);
    expect(c.heard[0]).toMatch(/^a: /);
    const large = { text: 'ü'.repeat(200_000) };
    expect(await a.links.ask(b.member, large, LONG)).toEqual({ to: 'b', echo: large });
  });

  test('that are too large are not sent, and the others go on; an answer that is too large is none', async () => {
    const b = await make('b', { asked: (_, { size }) => ({ text: 'x'.repeat(Number(size)) }) });
    const a = await make('a');
    expect(await a.links.ask(b.member, { text: 'x'.repeat(1024 * 1024) }, LONG)).toBeNull();
    expect(await a.links.ask(b.member, { size: 1024 * 1024 }, LONG)).toBeNull();
    expect(await a.links.ask(b.member, { size: 1 }, LONG)).toEqual({ text: 'x' });
    expect(b.heard).toHaveLength(2);
    expect(b.log.lines.join()).toContain('too large');
  });

  test('without an answer in time are null; with none, null at once; a bug in the answer is null and logged', async () => {
    const b = await make('b', {
      asked: (_, { how }) => {
        if (how === 'never') return new Promise(() => {});
        return how === 'bug' ? Promise.reject(new Error('broken')) : null;
      },
    });
    const a = await make('a');
    expect(await a.links.ask(b.member, { how: 'null' }, LONG)).toBeNull();
    expect(await a.links.ask(b.member, { how: 'bug' }, LONG)).toBeNull();
    expect(b.log.lines.join()).toContain('broken');
    const order: string[] = [];
    const patient = a.links.ask(b.member, { how: 'never' }, { timeoutMs: 400 }).then(() => order.push('patient'));
    const hasty = a.links.ask(b.member, { how: 'never' }, { timeoutMs: 20 }).then(() => order.push('hasty'));
    await Promise.all([patient, hasty]);
    expect(order).toEqual(['hasty', 'patient']);
  });

  test('that wait for an answer are null at once when the connection ends', async () => {
    const b = await make('b', { asked: () => new Promise(() => {}) });
    const a = await make('a');
    const asking = a.links.ask(b.member, {}, { timeoutMs: 60_000 });
    await b.hears(1);
    b.links.close();
    expect(await asking).toBeNull();
  });

  test('to a member without a usable address, or from links that are closed, are null', async () => {
    const a = await make('a');
    const b = await make('b');
    for (const apiUrl of [null, 'nonsense', 'ftp://127.0.0.1/']) {
      expect(await a.links.ask(aMember('x', { apiUrl }), {}, LONG)).toBeNull();
    }
    const asking = a.links.ask(b.member, {}, LONG);
    a.links.close();
    expect(await asking).toBeNull();
    expect(await a.links.ask(b.member, {}, LONG)).toBeNull();
  });
});

describe('a member', () => {
  test('that is not there costs nothing but the try, and is found when it is back, at a new address too', async () => {
    const gone = await make('b');
    const a = await make('a');
    await a.links.ask(gone.member, {}, LONG);
    await gone.close();
    expect(await a.links.ask(gone.member, {}, LONG)).toBeNull();
    const back = await make('b', { rest: { listenPort: gone.rest.port } });
    expect(await a.links.ask(gone.member, { again: true }, LONG)).toMatchObject({ to: 'b' });
    const moved = await make('b');
    expect(await a.links.ask(moved.member, {}, LONG)).toMatchObject({ to: 'b' });
    expect((await back.hears(2)).at(-1)).toBe('a lost');
  });

  test('of another name or another cluster at that address is not told anything', async () => {
    const b = await make('b');
    const a = await make('a');
    expect(await a.links.ask({ ...b.member, name: 'c' }, {}, LONG)).toBeNull();
    expect(b.heard).toEqual([]);
    expect(a.log.lines.join()).toContain('c refuses messages of this member: HTTP status 421');
  });

  test('lets in whoever has the password, and says once whom it refuses', async () => {
    const authentication = { username: 'admin', password: 'sécret' };
    const b = await make('b', { rest: { authentication } });
    const stranger = await make('stranger', { ctl: { authentication: { ...authentication, password: 'guess' } } });
    const a = await make('a', { ctl: { authentication } });
    expect(await a.links.ask(b.member, {}, LONG)).toMatchObject({ to: 'b' });
    expect(await stranger.links.ask(b.member, {}, LONG)).toBeNull();
    expect(await stranger.links.ask(b.member, {}, LONG)).toBeNull();
    const warned = stranger.log.lines.filter((line) => line.includes('b refuses messages of this member: HTTP status 401'));
    expect(warned).toHaveLength(1);
    expect(b.heard).toEqual(['a: {}']);
  });

  test('goes on with its links when its REST API moves or reloads', async () => {
    const b = await make('b');
    const a = await make('a');
    await a.links.ask(b.member, {}, LONG);
    await b.rest.reconfigure(restSettings({ listenHost: 'localhost', authentication: { username: 'x', password: 'y' } }));
    expect(await a.links.ask(b.member, { still: true }, LONG)).toMatchObject({ to: 'b' });
    expect(b.heard).toHaveLength(2);
  });
});

describe('TLS', () => {
  let workshop: CertificateWorkshop;
  let node: Certificate;

  beforeAll(() => {
    workshop = new CertificateWorkshop();
    node = workshop.issue('node');
  });

  afterAll(() => workshop.remove());

  test('demands the client certificate, and a new link uses the renewed one while the old link goes on', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'regent-links-'));
    const own = { certfile: join(dir, 'own.crt'), keyfile: join(dir, 'own.key'), cacert: workshop.ca.cert };
    const put = (pair: Certificate) => {
      copyFileSync(pair.cert, own.certfile);
      copyFileSync(pair.key, own.keyfile);
    };
    put(node);
    const peers = createPeers({
      settings: () => ({ ctl: { ...plainCtl, ...own }, restapi: restSettings() }),
      log: keptLog(),
      clock: realClock,
      lookup,
    });
    try {
      const b = await make('b', {
        rest: { certfile: node.cert, keyfile: node.key, cafile: workshop.ca.cert, verifyClient: 'required' },
      });
      const a = await make('a', { ctl: own, tls: () => peers.tls() });
      const bare = await make('bare');
      expect(await a.links.ask(b.member, { n: 1 }, LONG)).toMatchObject({ to: 'b' });
      expect(await bare.links.ask(b.member, {}, LONG)).toBeNull();
      put(workshop.issue('renewed'));
      peers.renew();
      expect(peers.tls().cert).toEqual(readFileSync(own.certfile));
      expect(await a.links.ask(b.member, { n: 2 }, LONG)).toMatchObject({ to: 'b' });
      expect(b.heard).toEqual(['a: {"n":1}', 'a: {"n":2}']);
      const again = await make('a', { ctl: own, tls: () => peers.tls() });
      expect(await again.links.ask(b.member, { n: 3 }, LONG)).toMatchObject({ to: 'b' });
    } finally {
      peers.close();
      rmSync(dir, { recursive: true });
    }
  });
});
