import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Clock } from '../../ports/clock.ts';
import { Gateway } from './gateway.ts';
import { encodeText } from './keys.ts';
import { Progress } from './progress.ts';
import {
  answering,
  type FakeMember,
  fakeMember,
  headerOf,
  type Json,
  realClock,
  recordingLog,
  type Script,
  settingsOf,
} from './testing.ts';
import { PrefixWatch, WATCH_TIMINGS, type WatchTimings } from './watch.ts';

const QUICK: WatchTimings = {
  ...WATCH_TIMINGS,
  // Far more than opening takes on a machine without a free core.
  openMs: 3000,
  tickMs: 20,
  behindMs: 100,
  proofMs: 60_000,
  probeTimeoutMs: 100,
  pauseFirstMs: 5,
  pauseMaxMs: 20,
};
const WAIT = { timeout: 5000, interval: 5 };

const closing: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

interface Watched extends FakeMember {
  /** Streams in the order they were asked for. */
  readonly streams: ServerResponse[];
  /** The `create_request` of each. */
  requests(): Json[];
}

/**
 * A member whose watches are created at revision 10 and then driven by the test; `answers` serves
 * the rest.
 */
async function watched(
  answers: Script = answering(2, 10),
  created: Json | null = { header: headerOf(2, 10), created: true },
): Promise<Watched> {
  const streams: ServerResponse[] = [];
  const fake = await fakeMember((path, body, response, request) => {
    if (path !== '/watch') return answers(path, body, response, request);
    streams.push(response);
    response.flushHeaders();
    if (created) say(response, created);
  });
  closing.push(fake);
  const requests = () => fake.seen.filter(({ path }) => path === '/watch').map(({ body }) => body['create_request'] as Json);
  return Object.assign(fake, { streams, requests });
}

function say(response: ServerResponse, result: Json): void {
  response.write(`${JSON.stringify({ result })}\n`);
}

function put(key: string, revision: number, more: Json = {}): Json {
  return { kv: { key: encodeText(`/service/demo/${key}`), mod_revision: String(revision) }, ...more };
}

const events = (revision: number, ...list: Json[]): Json => ({ header: headerOf(2, revision), events: list });

function start(members: readonly FakeMember[], timings: Partial<WatchTimings> = {}, clock: Clock = realClock()) {
  const log = recordingLog();
  const gateway = new Gateway({ settings: settingsOf(members.map(({ endpoint }) => endpoint)), log, clock });
  const progress = new Progress();
  const heard: Array<string | null> = [];
  const listener = ({ key, deleted }: { key: string | null; deleted: boolean }) => {
    heard.push(deleted ? `-${key}` : key);
  };
  const watch = new PrefixWatch({ gateway, progress, prefix: '/service/demo/', log, clock, listener, timings: { ...QUICK, ...timings } });
  closing.push(gateway, watch);
  return { gateway, progress, heard, log, watch };
}

describe('PrefixWatch', () => {
  it('starts from now, says so, and goes on after the last revision told when the stream breaks', async () => {
    const fake = await watched();
    const { heard } = start([fake]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    say(fake.streams[0]!, events(12, put('leader', 11), put('members/a', 12, { type: 'DELETE' })));
    await vi.waitFor(() => expect(heard).toEqual([null, 'leader', '-members/a']), WAIT);
    fake.breakConnections();
    await vi.waitFor(() => expect(fake.streams).toHaveLength(2), WAIT);
    expect(fake.requests()[0]).toEqual({
      key: encodeText('/service/demo/'),
      range_end: encodeText('/service/demo0'),
      progress_notify: true,
    });
    expect(fake.requests()[1]).toMatchObject({ start_revision: '13' });
    say(fake.streams[1]!, events(13, put('leader', 12), put('status', 13)));
    await vi.waitFor(() => expect(heard).toEqual([null, 'leader', '-members/a', 'status']), WAIT);
  });

  it('reads messages however they are cut, even within a character', async () => {
    const fake = await watched();
    const { heard } = start([fake]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    const bytes = Buffer.from(`${JSON.stringify({ result: { ...events(11, put('members/\u{1f418}', 11)), note: '\u{1f418}' } })}\n`);
    for (let at = 0; at < bytes.length; at += 3) {
      fake.streams[0]!.write(bytes.subarray(at, at + 3));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => expect(heard).toEqual([null, 'members/\u{1f418}']), WAIT);
    expect(fake.streams).toHaveLength(1);
  });

  it('moves on by progress notices, so that little is asked for again', async () => {
    const fake = await watched();
    const { heard } = start([fake]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    say(fake.streams[0]!, { header: headerOf(2, 40) });
    fake.streams[0]!.end();
    await vi.waitFor(() => expect(fake.requests()[1]).toMatchObject({ start_revision: '41' }), WAIT);
    expect(heard).toEqual([null]);
  });

  it('starts from now and says so when the revisions were compacted', async () => {
    const fake = await watched();
    const { heard } = start([fake]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    say(fake.streams[0]!, { header: headerOf(2, 50), canceled: true, compact_revision: '49' });
    await vi.waitFor(() => expect(heard).toEqual([null, null]), WAIT);
    expect(fake.requests()[1]).not.toHaveProperty('start_revision');
  });

  it('leaves a member at a lower term than the cluster has shown', async () => {
    const [stale, fresh] = [await watched(), await watched(answering(3, 10), { header: headerOf(3, 10), created: true })];
    const { heard, gateway } = start([stale, fresh]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    gateway.guard.admit({ cluster_id: '1', raft_term: '3', revision: '11' }, true, 0n);
    say(stale.streams[0]!, events(11, put('leader', 11)));
    await vi.waitFor(() => expect(fresh.requests()[0]).toMatchObject({ start_revision: '11' }), WAIT);
    expect(heard, 'nothing of the stale one').toEqual([null]);
  });

  it.each([
    ['does not confirm the watch', () => watched(undefined, null)],
    ['is not etcd', () => watched(undefined, { hello: 'world' })],
    ['has no leader', () => watchedFault('{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}\n')],
    ['talks in plain text', () => watchedFault('Bad Gateway\n')],
  ])('goes elsewhere when a member %s', async (_what, make) => {
    const [bad, good] = [await make(), await watched()];
    const { heard } = start([bad, good], { openMs: 1000 });
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    expect(good.streams).toHaveLength(1);
  });

  it('leaves a member that lacks revisions known from elsewhere', async () => {
    const [lagging, good] = [await watched(), await watched()];
    const { heard, progress } = start([lagging, good]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    progress.changed(11n);
    await vi.waitFor(() => expect(good.requests()[0]).toMatchObject({ start_revision: '11' }), WAIT);
  });

  it('stays with one that is only slow to tell', async () => {
    const fake = await watched();
    const { heard, progress } = start([fake]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    for (let revision = 11; revision < 20; revision++) {
      progress.changed(BigInt(revision));
      await new Promise((resolve) => setTimeout(resolve, 30));
      say(fake.streams[0]!, events(revision, put('status', revision)));
    }
    await vi.waitFor(() => expect(heard).toHaveLength(10), WAIT);
    expect(fake.streams).toHaveLength(1);
  });

  it('looks less often while all is well, and soon again when there is something to report', async () => {
    const real = realClock();
    const delaysMs: number[] = [];
    const timer: Clock['timer'] = (ms, callback) => {
      delaysMs.push(ms);
      return real.timer(ms, callback);
    };
    const fake = await watched();
    const { progress } = start([fake], { tickMs: 25 }, { ...real, timer });
    await vi.waitFor(() => expect(delaysMs.at(-1)).toBe(100), WAIT);
    progress.changed(11n);
    expect(delaysMs.at(-1)).toBe(25);
  });

  it('asks a member that has not proved itself lately, and leaves it when it is silent', async () => {
    const [frozen, good] = [await watched(() => {}), await watched()];
    const { heard } = start([frozen, good], { proofMs: 50 });
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    await vi.waitFor(() => expect(good.streams).toHaveLength(1), WAIT);
    const probe = frozen.seen.find(({ path }) => path === '/kv/range');
    expect(probe!.body).toMatchObject({ sort_target: 'MOD', sort_order: 'DESCEND', limit: '1', keys_only: true });
  });

  it('asks at once when another call to the member failed', async () => {
    const [frozen, good] = [await watched(() => {}), await watched()];
    const { heard, gateway } = start([frozen, good]);
    gateway.pool.answered(frozen.endpoint, performance.now());
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    expect(frozen.seen.map(({ path }) => path)).toEqual(['/watch']);
    gateway.pool.failed(frozen.endpoint);
    await vi.waitFor(() => expect(good.streams).toHaveLength(1), WAIT);
  });

  it('opens a stream again after long silence, without losing its place', async () => {
    const fake = await watched();
    const { heard } = start([fake], { idleMs: 60 });
    await vi.waitFor(() => expect(fake.requests()[1]).toMatchObject({ start_revision: '11' }), WAIT);
    expect(heard).toEqual([null]);
  });

  it('starts from now when the history of etcd is another', async () => {
    const fake = await watched();
    const { heard, gateway } = start([fake]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    gateway.guard.admit({ cluster_id: '1', raft_term: '2', revision: '100' }, true, 0n);
    gateway.guard.admit({ cluster_id: '1', raft_term: '2', revision: '7' }, true, 100n);
    await vi.waitFor(() => expect(heard).toEqual([null, null]), WAIT);
    expect(fake.requests()[1]).not.toHaveProperty('start_revision');
  });

  it('does not hammer a member that ends every watch at once', async () => {
    const fake = await fakeMember((path, _body, response) => {
      if (path === '/watch') response.end(`${JSON.stringify({ result: { header: headerOf(2, 10), created: true } })}\n`);
    });
    closing.push(fake);
    start([fake], { pauseFirstMs: 50, pauseMaxMs: 200 });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(fake.seen.length).toBeLessThan(20);
  });

  it('survives a listener that throws, and is silent after close', async () => {
    const fake = await watched();
    const { heard, watch, log } = start([fake]);
    await vi.waitFor(() => expect(heard).toEqual([null]), WAIT);
    heard.push = () => {
      throw new Error('listener');
    };
    say(fake.streams[0]!, events(11, put('leader', 11)));
    await vi.waitFor(() => expect(log.lines.join()).toContain('listener'), WAIT);
    watch.close();
    await vi.waitFor(() => expect(fake.streams[0]!.destroyed).toBe(true), WAIT);
    expect(fake.streams).toHaveLength(1);
  });
});

async function watchedFault(text: string): Promise<Watched> {
  const fake = await watched(undefined, null);
  const { script } = fake;
  fake.script = (path, body, response, request) => (path === '/watch' ? void response.write(text) : script(path, body, response, request));
  return fake;
}
