import { afterEach, describe, expect, it, vi } from 'vitest';
import type { EtcdSettings } from '../../core/settings.ts';
import type { Verdict } from './answers.ts';
import { Discovery, type ResolveSrv } from './discover.ts';
import { EndpointPool } from './endpoints.ts';
import type { RaceResult } from './race.ts';
import { fakeMember, manualClock, recordingLog, settingsOf } from './testing.ts';
import { HttpTransport } from './transport.ts';

const closing: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const one of closing.splice(0)) await one.close();
});

function listing(...clientURLs: string[]): RaceResult<Verdict> {
  const answer = { header: { cluster_id: '1' }, members: [{ name: 'joining' }, { clientURLs }] };
  return { kind: 'answer', value: { kind: 'ok', answer }, endpoint: 'http://a:2379', maybeApplied: false };
}

function make(settings: EtcdSettings, replies: RaceResult<Verdict>[], resolve: ResolveSrv = () => Promise.reject(new Error('ENOTFOUND'))) {
  const clock = manualClock();
  const pool = new EndpointPool(settings.endpoints);
  const transport = new HttpTransport(settings, clock, recordingLog());
  closing.push(transport);
  let asked = 0;
  const list = () => Promise.resolve(replies[asked++] ?? { kind: 'timeout' as const, reasons: new Map(), maybeApplied: false });
  const discovery = new Discovery({ settings, clock, log: recordingLog(), pool, transport, list, resolve });
  const settled = (endpoints: string[]) =>
    vi.waitFor(() => expect([...pool.list()].sort()).toEqual(endpoints), { timeout: 2000, interval: 2 });
  return { clock, pool, discovery, settled, asked: () => asked };
}

describe('Discovery', () => {
  it('adds the members to the configured endpoints, and drops those that have left', async () => {
    const first = listing('http://b:2379', 'http://c:2379', 'nonsense url');
    const { clock, discovery, settled, asked } = make(settingsOf(['http://a:2379'], { discover: true }), [first, listing('http://c:2379')]);
    await discovery.beforeCall(100);
    expect(asked(), 'not before the first second').toBe(0);
    clock.advance(1000);
    await discovery.beforeCall(100);
    await settled(['http://a:2379', 'http://b:2379', 'http://c:2379']);
    await discovery.beforeCall(100);
    expect(asked()).toBe(1);
    discovery.hurry();
    await discovery.beforeCall(100);
    expect(asked(), 'not again within five seconds').toBe(1);
    clock.advance(5000);
    await discovery.beforeCall(100);
    await settled(['http://a:2379', 'http://c:2379']);
  });

  it('looks at once after a failure', async () => {
    const { discovery, settled } = make(settingsOf(['http://a:2379'], { discover: true }), [listing('http://b:2379')]);
    discovery.hurry();
    await discovery.beforeCall(100);
    await settled(['http://a:2379', 'http://b:2379']);
  });

  it('keeps to the configured endpoints when told so', async () => {
    const { clock, discovery, asked } = make(settingsOf(['http://a:2379']), [listing('http://b:2379')]);
    clock.advance(400_000);
    await discovery.beforeCall(100);
    expect(asked()).toBe(0);
  });

  it('waits for the first endpoints when there is none, and takes the first kind of SRV record that exists', async () => {
    const names: string[] = [];
    const resolve: ResolveSrv = async (name) => {
      names.push(name);
      if (name !== '_etcd-ssl-blue._tcp.example.org') throw new Error('ENOTFOUND');
      return [{ name: 'etcd-1.example.org.', port: 2379 }];
    };
    const { discovery, pool } = make(settingsOf([], { srv: 'example.org', srvSuffix: 'blue' }), [], resolve);
    await discovery.beforeCall(1000);
    expect(pool.list()).toEqual(['https://etcd-1.example.org:2379']);
    expect(names).toEqual([
      '_etcd-client-ssl-blue._tcp.example.org',
      '_etcd-client-blue._tcp.example.org',
      '_etcd-ssl-blue._tcp.example.org',
    ]);
  });

  it('asks the peers that SRV records name for the addresses of clients', async () => {
    const peer = await fakeMember((_path, _body, response) => response.end('[{"clientURLs":["http://c:2379"]}]'));
    closing.push(peer);
    const { port } = new URL(peer.endpoint);
    const resolve: ResolveSrv = async (name) => {
      if (name !== '_etcd-server._tcp.example.org') throw new Error('ENOTFOUND');
      return [{ name: '127.0.0.1', port: Number(port) }];
    };
    const { discovery, pool } = make(settingsOf([], { srv: 'example.org' }), [], resolve);
    await discovery.beforeCall(1000);
    expect(pool.list()).toEqual(['http://c:2379']);
    expect(peer.seen[0]!.path).toBe('/members');
  });

  it('does not hold a call longer than its time while the name service is silent', async () => {
    const { discovery, clock } = make(settingsOf([], { srv: 'example.org' }), [], () => new Promise(() => {}));
    const call = discovery.beforeCall(200);
    clock.advance(200);
    await call;
  });
});
