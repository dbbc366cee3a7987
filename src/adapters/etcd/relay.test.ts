import { afterEach, describe, expect, it } from 'vitest';
import type { Member } from '../../core/cluster.ts';
import type { JsonObject } from '../../support/json.ts';
import type { KeptIdentity } from './identity-file.ts';
import { createEtcdDcs, type EtcdDcsOptions } from './store.ts';
import { type FakeMember, fakeMember, hanging, type Json, realClock, recordingLog, type Script, settingsOf } from './testing.ts';

const closing: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

const CALL = { timeoutMs: 3000 };
const b64 = (text: string) => Buffer.from(text).toString('base64');
const kv = (key: string, value: string) => ({
  key: b64(`/service/demo/${key}`),
  value: b64(value),
  mod_revision: '5',
  create_revision: '5',
  lease: '7',
});
const MEMBER = JSON.stringify({ conn_url: 'postgres://x:5432/', api_url: 'http://x:8008/patroni' });
const kvs = (leader: string) => [kv('leader', leader), ...['a', 'b', 'c'].map((name) => kv(`members/${name}`, MEMBER))];

/** etcd, as far as a leader needs it. */
const etcd =
  (leader: string, clusterId = '1', more: Json = {}): Script =>
  (path, _body, response) => {
    const answer = {
      header: { cluster_id: clusterId, member_id: '2', raft_term: '2', revision: '9' },
      succeeded: true,
      ID: '7',
      TTL: '30',
      ...(path === '/kv/range' && { kvs: kvs(leader) }),
      ...more,
    };
    response.end(JSON.stringify(path === '/lease/keepalive' ? { result: answer } : answer));
  };

async function member(script: Script): Promise<FakeMember> {
  const fake = await fakeMember(script);
  closing.push(fake);
  return fake;
}

type Carry = (to: string, message: JsonObject) => Promise<JsonObject | null>;

/** The client of member `me`; its calls are carried by `carry`. */
function open(me: string, endpoint: FakeMember, carry: Carry, more: Partial<EtcdDcsOptions> = {}) {
  const log = recordingLog();
  const asked: string[] = [];
  const ask = async ({ name }: Member, message: JsonObject) => {
    asked.push(`${name} ${String(message['path'])}`);
    return carry(name, message);
  };
  const settings = settingsOf([endpoint.endpoint]);
  const base = { settings, scope: 'demo', namespace: 'service', log, clock: realClock(), relay: { me, links: { ask } } };
  const dcs = createEtcdDcs({ ...base, ...more });
  closing.push(dcs);
  return Object.assign(dcs, { log, asked });
}

const nobody: Carry = async () => null;
const paths = (fake: FakeMember) => fake.seen.map(({ path }) => path);
const told = (lines: readonly string[], text: string) => lines.filter((line) => line.includes(text));
const kept = (clusterId: string) => {
  const identity: KeptIdentity = { clusterId, replaces: null, endpoint: null };
  return { path: '/data/id', confirm: 'confirm', read: () => identity, write: () => true };
};

/** Leader a and its carrier b, each at its own member of etcd. */
async function pair(script = etcd('a')) {
  const [near, far] = [await member(script), await member(script)];
  const b = open('b', far, nobody);
  const a = open('a', near, (name, message) => (name === 'b' ? b.carry('a', message) : Promise.resolve(null)));
  await a.read(CALL);
  await b.read(CALL);
  far.seen.length = 0;
  return { a, b, near, far };
}

describe('a leader that cannot reach etcd', () => {
  it.each<[string, Script | null]>([
    ['is silent', hanging],
    ['refuses connections', null],
    ['has no majority', (_path, _body, response) => response.writeHead(503).end('{"error":"etcdserver: no leader"}')],
  ])('has its calls carried when etcd %s', async (_, script) => {
    const { a, far, near } = await pair();
    if (script === null) await near.close();
    else near.script = script;
    expect(await a.keepAlive('7', CALL)).toBe(30);
    expect((await a.read(CALL)).leader?.name).toBe('a');
    expect(await a.grantLease(30, CALL)).toBe('7');
    expect(await a.attachLeader('a', '7', CALL)).toBe(true);
    await a.putMember('a', { x: 1 }, '7', CALL);
    expect(paths(far)).toEqual(['/lease/keepalive', '/kv/range', '/lease/grant', '/kv/txn', '/kv/txn']);
  });

  it('goes back to the direct way as soon as that is open; the log says once when it begins and ends', async () => {
    const { a, b, near, far } = await pair();
    near.script = hanging;
    const isTold = () => told(a.log.lines, 'b carries the calls of this member').length > 0;
    while (!isTold()) await a.keepAlive('7', CALL);
    for (let n = 0; n < 4; n++) await a.keepAlive('7', CALL);
    near.script = etcd('a');
    let carried = a.asked.length;
    for (let before = -1; carried !== before; carried = a.asked.length) {
      before = carried;
      await a.keepAlive('7', CALL);
    }
    far.seen.length = 0;
    for (let n = 0; n < 4; n++) await a.keepAlive('7', CALL);
    expect(paths(far)).toEqual([]);
    expect(told(a.log.lines, 'b carries the calls of this member')).toHaveLength(1);
    expect(told(a.log.lines, 'etcd is reached directly again')).toHaveLength(1);
    expect(told(b.log.lines, 'a cannot reach etcd: this member carries its calls')).toHaveLength(1);
  });

  it('finds the direct way open where that is slower than a call would wait for it', async () => {
    const { a, near } = await pair();
    near.script = hanging;
    while (told(a.log.lines, 'b carries the calls of this member').length === 0) await a.keepAlive('7', CALL);
    const slow = etcd('a');
    near.script = (...request) => void setTimeout(slow, 400, ...request);
    while (told(a.log.lines, 'etcd is reached directly again').length === 0) await a.keepAlive('7', CALL);
    expect(a.asked.length).toBeGreaterThan(0);
  });

  it('asks another member where one does not answer', async () => {
    const [near, far] = [await member(etcd('a')), await member(etcd('a'))];
    const c = open('c', far, nobody);
    await c.read(CALL);
    const a = open('a', near, (name, message) => (name === 'c' ? c.carry('a', message) : new Promise(() => {})));
    await a.read(CALL);
    near.script = hanging;
    expect(await a.keepAlive('7', CALL)).toBe(30);
    expect(a.asked).toEqual(['b /lease/keepalive', 'c /lease/keepalive']);
    await a.keepAlive('7', CALL);
    expect(a.asked.at(-1)).toBe('c /lease/keepalive');
  });

  it('learns through the carrier that its lease is gone', async () => {
    const { a, near, far } = await pair();
    near.script = hanging;
    far.script = (_path, _body, response) => response.writeHead(404).end('{"error":"etcdserver: requested lease not found","code":5}');
    expect(await a.keepAlive('7', CALL)).toBe(0);
  });

  it('knows that the copy which was sent directly may have taken effect', async () => {
    const { a, near, far } = await pair();
    near.script = hanging;
    const stored = { response_range: { kvs: [{ ...kv('sync', '{"leader":"a","sync_standby":null,"quorum":0}'), lease: '0' }] } };
    far.script = etcd('a', '1', { succeeded: false, responses: [stored] });
    const written = { leader: 'a', standbys: [], quorum: 0 };
    const made = await a.writeSync(written, null, CALL);
    const carriedValue = far.seen[0]!.body['success'] as [{ request_put: { value: string } }];
    stored.response_range.kvs[0]!.value = carriedValue[0].request_put.value;
    expect([made, await a.writeSync(written, null, CALL)]).toEqual([false, true]);
  });

  it('has a call carried for which it would have to log in first', async () => {
    const [near, far] = [await member(hanging), await member(etcd('a'))];
    const b = open('b', far, nobody);
    await b.read(CALL);
    const login = { username: null as string | null, password: 'secret' };
    const a = open('a', near, (_, message) => b.carry('a', message), { login: () => login });
    near.script = etcd('a');
    await a.read(CALL);
    near.script = hanging;
    login.username = 'root';
    expect(await a.keepAlive('7', CALL)).toBe(30);
  });

  it('throws that etcd cannot be reached, and why nobody could carry the call', async () => {
    const { a, near, far } = await pair();
    near.script = hanging;
    await far.close();
    await expect(a.keepAlive('7', { timeoutMs: 600 })).rejects.toMatchObject({
      code: 'DCS_UNREACHABLE',
      message: expect.stringMatching(/no answer in time.*through b: etcd did not answer \/lease\/keepalive/),
    });
  });
});

describe('nobody carries', () => {
  it('a call that etcd answers directly', async () => {
    const { a } = await pair();
    for (let n = 0; n < 3; n++) await a.keepAlive('7', CALL);
    expect(a.asked).toEqual([]);
  });

  it('the calls of a member that does not lead', async () => {
    const { a, near } = await pair(etcd('b'));
    near.script = hanging;
    await expect(a.keepAlive('7', { timeoutMs: 300 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(a.asked).toEqual([]);
  });

  it('what a leader does not need', async () => {
    const { a, near } = await pair();
    near.script = hanging;
    await expect(a.revokeLease('7', { timeoutMs: 300 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    await expect(a.removeCluster({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(a.asked.filter((one) => one !== 'b /kv/txn' && one !== 'c /kv/txn')).toEqual([]);
  });

  it('a carried call any further', async () => {
    const { a, near } = await pair();
    near.script = hanging;
    const call = { kind: 'etcd', etcd: '1', path: '/lease/keepalive', body: { ID: '7' }, timeoutMs: 200 };
    expect(await a.carry('b', call)).toMatchObject({ failed: expect.stringContaining('no answer in time') });
    expect(a.asked).toEqual([]);
  });
});

describe('which etcd', () => {
  it('a carrier of another etcd sends nothing there', async () => {
    const [near, other] = [await member(etcd('a')), await member(etcd('a', '99'))];
    const b = open('b', other, nobody);
    await b.read(CALL);
    other.seen.length = 0;
    const a = open('a', near, (_, message) => b.carry('a', message), { identity: kept('1') });
    await a.read(CALL);
    near.script = hanging;
    await expect(a.keepAlive('7', { timeoutMs: 300 })).rejects.toMatchObject({
      message: expect.stringContaining("this member's etcd is 63"),
    });
    expect(paths(other)).toEqual([]);
  });

  it.each<[string, string, string]>([
    ['of another etcd', '99', '2'],
    ['that is stale', '1', '1'],
  ])('an answer %s is not used', async (_, clusterId, term) => {
    const near = await member(etcd('a'));
    const header = { cluster_id: clusterId, raft_term: term, revision: '9' };
    const a = open('a', near, async () => ({ answer: { header, TTL: '30' } }));
    await a.read(CALL);
    near.script = hanging;
    await expect(a.keepAlive('7', { timeoutMs: 300 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(a.asked.length).toBeGreaterThan(0);
  });

  it.each<JsonObject>([{}, { answer: {} }, { answer: { header: {} } }, { answer: null, gone: 7 }])('%j is no answer', async (reply) => {
    const near = await member(etcd('a'));
    const a = open('a', near, async () => reply);
    await a.read(CALL);
    near.script = hanging;
    await expect(a.keepAlive('7', { timeoutMs: 150 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
  });
});
