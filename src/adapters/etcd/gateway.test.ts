import { afterEach, describe, expect, it } from 'vitest';
import type { EtcdSettings } from '../../core/settings.ts';
import { createEtcdDcs } from './store.ts';
import { answering, type FakeMember, fakeMember, hanging, headerOf, realClock, recordingLog, type Script, settingsOf } from './testing.ts';

const closing: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

async function member(script: Script): Promise<FakeMember> {
  const fake = await fakeMember(script);
  closing.push(fake);
  return fake;
}

function open(endpoints: ReadonlyArray<FakeMember | string>, more: Partial<EtcdSettings> = {}) {
  const log = recordingLog();
  const urls = endpoints.map((endpoint) => (typeof endpoint === 'string' ? endpoint : endpoint.endpoint));
  const dcs = createEtcdDcs({ settings: settingsOf(urls, more), scope: 'demo', namespace: 'service', log, clock: realClock() });
  closing.push(dcs);
  return Object.assign(dcs, { log });
}

const says =
  (status: number, text: string): Script =>
  (_path, _body, response) => {
    response.statusCode = status;
    response.end(text);
  };
const fault = (status: number, code: number, message: string) => says(status, JSON.stringify({ error: message, message, code }));
const paths = (fake: FakeMember) => fake.seen.map(({ path }) => path);

describe('the etcd client', () => {
  it('reads a cluster with one linearizable range', async () => {
    const fake = await member(answering(2, 9));
    expect((await open([fake]).read({ timeoutMs: 1000 })).revision).toBe('9');
    expect(fake.seen).toHaveLength(1);
    expect(fake.seen[0]).toMatchObject({
      path: '/kv/range',
      body: { key: 'L3NlcnZpY2UvZGVtby8=', range_end: 'L3NlcnZpY2UvZGVtbzA=', serializable: false },
      headers: { 'grpc-metadata-hasleader': 'true', 'content-type': 'application/json' },
    });
  });

  it('succeeds on the last endpoint though the others hang, and starts there from then on', async () => {
    const [a, b, c] = [await member(hanging), await member(hanging), await member(answering(2, 9))];
    const dcs = open([a, b, c]);
    await dcs.read({ timeoutMs: 3000 });
    await dcs.read({ timeoutMs: 3000 });
    expect([a.seen.length, b.seen.length, c.seen.length]).toEqual([1, 1, 2]);
  });

  it.each([
    ['refuses connections', null],
    ['answers in plain text', says(502, 'Bad Gateway')],
    ['is something else', says(200, '<html></html>')],
    ['answers without a header', says(200, '{}')],
    [
      'reports an error inside a stream of status 200',
      says(200, '{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}\n'),
    ],
    ['knows an error nobody has heard of', fault(400, 3, 'etcdserver: mice have eaten the cable')],
    ['hangs up', ((_path, _body, response) => response.destroy()) as Script],
    ['hangs up half-way', ((_path, _body, response) => response.write('{"header":', () => response.destroy())) as Script],
  ])('goes to the next endpoint when one %s', async (_what, script) => {
    const good = await member(answering(2, 9));
    let bad: FakeMember | string;
    if (script === null) {
      const gone = await fakeMember(hanging);
      await gone.close();
      bad = gone.endpoint;
    } else bad = await member(script);
    const start = performance.now();
    await open([bad, good]).read({ timeoutMs: 60_000 });
    expect(performance.now() - start, 'a share of the time was waited for').toBeLessThan(10_000);
  });

  it('calls an unknown error an outage, and names it', async () => {
    const dcs = open([await member(fault(400, 3, 'etcdserver: mice have eaten the cable'))]);
    await expect(dcs.read({ timeoutMs: 800 })).rejects.toMatchObject({
      code: 'DCS_UNREACHABLE',
      policy: 'transient',
      message: expect.stringContaining('mice have eaten the cable'),
    });
  });

  it('tells what to look at when nothing speaks v3', async () => {
    const dcs = open([await member(says(404, '404 page not found'))]);
    await expect(dcs.read({ timeoutMs: 800 })).rejects.toMatchObject({ message: expect.stringContaining('enable-grpc-gateway') });
  });

  it('ignores the answers of a member at a lower term', async () => {
    const [fresh, stale] = [await member(answering(5, 90)), await member(answering(4, 80))];
    const dcs = open([fresh, stale]);
    expect((await dcs.read({ timeoutMs: 1000 })).revision).toBe('90');
    fresh.script = fault(503, 14, 'etcdserver: leader changed');
    await expect(dcs.read({ timeoutMs: 1000 })).rejects.toMatchObject({ message: expect.stringContaining('stale answer of raft term 4') });
    fresh.script = answering(5, 91);
    expect((await dcs.read({ timeoutMs: 1000 })).revision).toBe('91');
  });

  it('does not count the renewal of a lease by a member at a lower term', async () => {
    const renew =
      (term: number): Script =>
      (path, body, response) => {
        if (path !== '/lease/keepalive') return answering(term, 9)(path, body, response, undefined as never);
        response.end(`${JSON.stringify({ result: { header: headerOf(term, 9), ID: '7', TTL: '30' } })}\n`);
      };
    const [old, fresh] = [await member(renew(4)), await member(renew(5))];
    const dcs = open([fresh, old]);
    expect(await dcs.keepAlive('7', { timeoutMs: 1000 })).toBe(30);
    await dcs.read({ timeoutMs: 1000 });
    fresh.script = hanging;
    await expect(dcs.keepAlive('7', { timeoutMs: 200 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
  });

  it('reads a renewal without a time as the end of the lease', async () => {
    const dcs = open([
      await member((_path, _body, response) => response.end(JSON.stringify({ result: { header: headerOf(2, 9), ID: '7' } }))),
    ]);
    expect(await dcs.keepAlive('7', { timeoutMs: 1000 })).toBe(0);
  });

  it('stops at once at a refusal', async () => {
    const fake = await member(fault(403, 7, 'etcdserver: permission denied'));
    await expect(open([fake]).read({ timeoutMs: 5000 })).rejects.toMatchObject({ code: 'DCS_REFUSED', policy: 'operator' });
    expect(fake.seen).toHaveLength(1);
  });

  it('stops at once where etcd has no room, and tells how to make some', async () => {
    const fake = await member(fault(429, 8, 'etcdserver: mvcc: database space exceeded'));
    const grant = open([fake]).grantLease(30, { timeoutMs: 5000 });
    await expect(grant).rejects.toMatchObject({ code: 'DCS_REFUSED', mend: expect.stringContaining('etcdctl alarm list') });
    expect(fake.seen).toHaveLength(1);
  });

  it('logs in once for calls at the same time, and again when the token has lost its value', async () => {
    let token = 1;
    const script: Script = (path, body, response, request) => {
      if (path === '/auth/authenticate') return response.end(JSON.stringify({ header: headerOf(2, 9), token: `t${token}` }));
      if (request.headers.authorization !== `t${token}`)
        return fault(401, 16, 'etcdserver: invalid auth token')(path, body, response, request);
      return answering(2, 9)(path, body, response, request);
    };
    const fake = await member(script);
    const dcs = open([fake], { username: 'regent', password: 'secret' });
    await Promise.all([dcs.read({ timeoutMs: 1000 }), dcs.read({ timeoutMs: 1000 })]);
    expect(paths(fake)).toEqual(['/auth/authenticate', '/kv/range', '/kv/range']);
    expect(fake.seen[0]!.body).toEqual({ name: 'regent', password: 'secret' });
    token = 2;
    await dcs.read({ timeoutMs: 1000 });
    expect(paths(fake).slice(3)).toEqual(['/kv/range', '/auth/authenticate', '/kv/range']);
    expect(dcs.log.lines.join()).not.toContain('secret');
  });

  it('does not log in without end', async () => {
    const script: Script = (path, body, response, request) => {
      if (path === '/auth/authenticate') return response.end(JSON.stringify({ header: headerOf(2, 9), token: 't' }));
      return fault(401, 16, 'etcdserver: invalid auth token')(path, body, response, request);
    };
    const fake = await member(script);
    await expect(open([fake], { username: 'regent', password: 'secret' }).read({ timeoutMs: 3000 })).rejects.toMatchObject({
      code: 'DCS_REFUSED',
    });
    expect(fake.seen.length).toBeLessThan(8);
  });

  it('asks for a user when etcd wants one and none is set', async () => {
    const dcs = open([await member(fault(400, 3, 'etcdserver: user name is empty'))]);
    await expect(dcs.read({ timeoutMs: 1000 })).rejects.toMatchObject({ code: 'DCS_REFUSED', mend: expect.stringContaining('username') });
  });

  it('goes without a token while etcd has no users', async () => {
    const script: Script = (path, body, response, request) =>
      path === '/auth/authenticate'
        ? fault(412, 9, 'etcdserver: authentication is not enabled')(path, body, response, request)
        : answering(2, 9)(path, body, response, request);
    const fake = await member(script);
    const dcs = open([fake], { username: 'regent', password: 'secret' });
    await dcs.read({ timeoutMs: 1000 });
    await dcs.read({ timeoutMs: 1000 });
    expect(paths(fake)).toEqual(['/auth/authenticate', '/kv/range', '/kv/range']);
  });

  it('overwrites a key only in the version that it knows', async () => {
    const script: Script = (path, body, response, request) => {
      const [compare] = (body['compare'] ?? []) as Array<Record<string, string>>;
      const succeeded = BigInt(compare?.['mod_revision'] ?? '0') > 50n;
      return answering(2, 60, {
        succeeded,
        responses: [{ response_range: { kvs: [{ key: 'eA==', value: 'e30=', mod_revision: '50' }] } }],
      })(path, body, response, request);
    };
    const fake = await member(script);
    const dcs = open([fake]);
    await dcs.writeStatus({ optime: 1 }, { timeoutMs: 1000 });
    const bounds = fake.seen.map(({ body }) => (body['compare'] as Array<Record<string, string>>)[0]!);
    expect(bounds.map((compare) => [compare['target'], compare['result'], compare['mod_revision']])).toEqual([
      ['MOD', 'LESS', '1'],
      ['MOD', 'LESS', '61'],
    ]);
  });

  it('gives up a key that changes all the time', async () => {
    const fake = await member(answering(2, 60, { succeeded: false }));
    await expect(open([fake]).writeStatus({ optime: 1 }, { timeoutMs: 1000 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(fake.seen).toHaveLength(5);
  });

  it('ends running calls when it is closed, and does nothing more', async () => {
    const fake = await member(hanging);
    const dcs = open([fake]);
    const pending = dcs.read({ timeoutMs: 60_000 });
    while (fake.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    dcs.close();
    await expect(pending).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    await expect(dcs.read({ timeoutMs: 1000 })).rejects.toMatchObject({ message: expect.stringContaining('closed') });
    expect(fake.seen).toHaveLength(1);
  });

  it('reports each member as it is', async () => {
    const status: Script = (path, body, response, request) =>
      answering(2, 9, path === '/maintenance/status' ? { version: '3.5.1', leader: '2' } : {})(path, body, response, request);
    const [well, bad, mute] = [await member(status), await member(says(500, 'oops')), await member(hanging)];
    const health = await open([well, bad, mute]).health({ timeoutMs: 1500 });
    const of = (fake: FakeMember) => health.find(({ endpoint }) => endpoint === fake.endpoint);
    expect(of(well)).toMatchObject({ healthy: true, version: '3.5.1', isLeader: true, error: null });
    expect(of(bad)).toMatchObject({ healthy: false, version: null, isLeader: null, error: expect.stringContaining('oops') });
    expect(of(mute)).toMatchObject({ healthy: false, error: expect.any(String) });
    expect(of(well)?.alarm).toBeNull();
  });

  it('reports an alarm', async () => {
    const full: Script = (path, body, response, request) =>
      answering(2, 9, path === '/maintenance/status' ? { leader: '2', errors: ['memberID:8211 alarm:NOSPACE '] } : {})(
        path,
        body,
        response,
        request,
      );
    expect((await open([await member(full)]).health({ timeoutMs: 5000 }))[0]).toMatchObject({ healthy: true, alarm: 'NOSPACE' });
  });
});
