import { describe, expect, it } from 'vitest';
import { agent, BEGIN_MS, beats, cluster, sync } from '../../test/fixtures/beats.ts';
import { member, memory, pg, type Scene, settings } from '../../test/support/build.ts';
import type { Effect } from '../core/effects.ts';
import type { JsonObject } from '../support/json.ts';

const following: Scene = { view: cluster('b'), pg: pg.standby({ primaryConninfo: 'host=b' }) };
const plain = { kind: 'beat', term: '5' };
const asks = { kind: 'beat', term: '5', vouch: true };
const VOUCHES = { leader: 'b', term: '5', vouches: true };
const LISTENS = { leader: 'b', term: '5' };

describe('a voter that is asked', () => {
  it('tells whom etcd showed it as the leader, and vouches only where it is asked to', async () => {
    const { told, see, beats: it } = beats();
    expect(await told('b', asks)).toEqual({});
    see(following);
    expect(await told('b', plain)).toEqual(LISTENS);
    expect(it.facts().vouched).toBeNull();
    expect(await told('b', asks)).toEqual(VOUCHES);
  });

  it('is bound for three seconds from each such answer', async () => {
    const { clock, told, see, beats: it } = beats();
    see(following);
    await told('b', asks);
    expect(it.facts().vouched).toEqual({ leader: 'b', untilMs: BEGIN_MS + 3000 });
    await clock.advance(500);
    await told('b', plain);
    expect(it.facts().vouched).toEqual({ leader: 'b', untilMs: BEGIN_MS + 3000 });
    await told('b', asks);
    expect(it.facts().vouched?.untilMs).toBe(BEGIN_MS + 3500);
  });

  it('vouches for the leader that it follows, and its present term, alone', async () => {
    const { told, see } = beats();
    see(following);
    expect(await told('b', { ...asks, term: '4' })).toEqual(LISTENS);
    expect(await told('b', { ...asks, term: '6' })).toEqual(LISTENS);
    expect(await told('c', asks)).toEqual(LISTENS);
  });

  it.each<[string, Effect]>([
    ['promises', { kind: 'mark-fence', mark: { leader: 'b', term: '5', sync: '8' } }],
    ['takes its walreceiver away', { kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' }],
    ['asks for the leader key', { kind: 'acquire-leader' }],
  ])('does not vouch while its round is at work that %s, until the next has looked', async (_what, effect) => {
    const { told, see, decide } = beats();
    see(following);
    decide(effect);
    expect(await told('b', asks)).toEqual(LISTENS);
    see(following);
    expect(await told('b', asks)).toEqual(VOUCHES);
    decide({ kind: 'checkpoint' });
    expect(await told('b', asks)).toEqual(VOUCHES);
  });

  it('vouches for a leader that it read last, while etcd is silent and after its key has ended', async () => {
    const { told, see } = beats();
    see(following);
    see({ ...following, view: null });
    expect(await told('b', asks)).toEqual(VOUCHES);
    see({ ...following, view: { ...cluster('b'), leader: null } });
    expect(await told('b', asks)).toEqual(VOUCHES);
  });

  it('does not vouch for a leader that was replaced, and tells it by whom', async () => {
    const { told, see } = beats();
    see(following);
    const leader = { name: 'c', leaseId: 'lease-c', modRevision: '12' };
    see({ ...following, view: { ...cluster('c'), leader } });
    expect(await told('b', asks)).toEqual({ leader: 'c', term: '12' });
    see({ ...following, view: null });
    expect(await told('b', asks)).toEqual({ leader: 'c', term: '12' });
  });

  it('does not vouch for anybody once it leads itself', async () => {
    const { told, see } = beats();
    see(following);
    see({ ...following, view: cluster('a') });
    see({ ...following, view: null });
    expect(await told('b', asks)).toEqual({});
  });

  it('does not vouch once it counts as let go, though its files could not be written', async () => {
    const { clock, told, see } = beats();
    see(following);
    await clock.advance(20_000);
    const leaderless: Scene = { ...following, view: { ...cluster('b'), leader: null } };
    see(leaderless, memory({ leaderlessSinceMs: BEGIN_MS, receiverGoneSinceMs: BEGIN_MS }));
    expect(await told('b', asks)).toEqual(LISTENS);
    see(leaderless, memory({ leaderlessSinceMs: BEGIN_MS, receiverGoneSinceMs: clock.bootMs() }));
    expect(await told('b', asks)).toEqual(VOUCHES);
  });

  it('tells what it has promised, and does not vouch then', async () => {
    const { told, see } = beats();
    const fence = { leader: 'b', term: '5', sync: '8' };
    see({ ...following, pg: { ...pg.standby({ primaryConninfo: 'host=b' }), fence } });
    expect(await told('b', asks)).toEqual({ ...LISTENS, fence: '5/8' });
    see({ ...following, pg: { ...pg.standby({ primaryConninfo: 'host=b' }), fence: 'unreadable' } });
    expect(await told('b', asks)).toEqual(LISTENS);
  });

  it('hears a beat of its leader, and nothing else, as a sign of life', async () => {
    const { clock, told, see, beats: it } = beats();
    see(following);
    expect(await told('b', { kind: 'etcd' })).toBeNull();
    expect(it.facts().heard).toBeNull();
    await clock.advance(100);
    await told('b', plain);
    expect(it.facts()).toMatchObject({ sinceMs: BEGIN_MS, heard: { leader: 'b', atMs: BEGIN_MS + 100 } });
    await told('c', plain);
    expect(it.facts().heard?.leader).toBe('b');
  });

  it('knocks at a silent leader only where promises are the fence', async () => {
    const promises = beats();
    promises.see(following);
    await promises.clock.advance(600);
    expect(promises.beats.facts().knocks).not.toBeNull();
    const lease = beats();
    lease.see({ ...following, settings: settings('a') });
    await lease.clock.advance(5000);
    expect(lease.beats.facts().knocks).toBeNull();
    expect(lease.heard.doubted).toBe(0);
  });
});

/** Member a leads by a lease of 30 s that was confirmed when the clock began. */
const leading: Scene = { view: cluster('a'), pg: pg.primary() };
function leader(scene: Scene = leading) {
  const all = beats();
  const { authority, see, clock } = all;
  authority.note({ kind: 'lease-asked' });
  authority.note({ kind: 'lease-granted', asked: 1, leaseId: 'lease-a', ttlSeconds: 30, sentAtMs: BEGIN_MS });
  authority.note({ kind: 'key-read', keyOn: 'lease-a' });
  see(scene);
  /** Etcd is silent until half of the time to step down is over. */
  const untilItAsks = async () => {
    await clock.advance(12_000);
    see({ ...scene, view: null });
    all.asked.length = 0;
    await clock.advance(200);
  };
  const last = (to: string) => all.asked.findLast((one) => one.to === to)!;
  const answer = async (to: string, told: JsonObject | null) => {
    last(to).answer(told);
    await clock.advance(0);
  };
  return { ...all, untilItAsks, last, answer };
}

describe('a leader sends beats', () => {
  it('five times within suspect_after, to every other member that says it knows them', async () => {
    const odd = [agent('b'), agent('c'), agent('d', { apiUrl: null }), member('e'), agent('f', { raw: { beats: 2 } }), agent('g')];
    const { clock, asked } = leader({ ...leading, view: cluster('a', { members: [agent('a'), ...odd] }) });
    await clock.advance(999);
    expect(asked.filter(({ to }) => to === 'b').map(({ atMs }) => atMs)).toEqual([0, 200, 400, 600, 800]);
    expect([...new Set(asked.map(({ to }) => to))]).toEqual(['b', 'c', 'g']);
    expect(asked[0]?.message).toEqual(plain);
  });

  it('not while the lease is the fence, and wakes nobody up then; at once when there are voters', async () => {
    const { clock, asked, see } = leader({ ...leading, settings: settings('a') });
    await clock.advance(5000);
    expect([asked, clock.pending]).toEqual([[], 0]);
    see(leading);
    await clock.advance(0);
    expect(asked.map(({ to, atMs }) => [to, atMs])).toEqual(['b', 'c', 'd'].map((to) => [to, 5000]));
  });

  it('without voters too, where members heed a leader that refuses connections', async () => {
    const heeding = settings('a', { dynamic: { failoverOnRefusal: true } });
    const { clock, asked } = leader({ view: cluster('a', { sync: null }), pg: pg.primary(), settings: heeding });
    await clock.advance(999);
    expect(asked.filter(({ to }) => to === 'b').map(({ atMs }) => atMs)).toEqual([0, 200, 400, 600, 800]);
  });

  it('not after its time', async () => {
    const { clock, asked } = leader();
    await clock.advance(23_999);
    const inTime = asked.length;
    expect(inTime).toBe(3 * 120);
    await clock.advance(5000);
    expect(asked.length).toBe(inTime);
  });

  it.each<[string, (all: ReturnType<typeof leader>) => void]>([
    ['once another leads', ({ see }) => see({ ...following, settings: settings('a') })],
    ['when it is told to stop', ({ beats: it }) => it.stop()],
  ])('no more %s, and no timer is left', async (_when, end) => {
    const all = leader();
    await all.clock.advance(1000);
    all.asked.length = 0;
    end(all);
    await all.clock.advance(1000);
    expect([all.asked, all.clock.pending]).toEqual([[], 0]);
  });

  it('asks to vouch only once half of its time has gone by without a renewal', async () => {
    const { clock, asked, authority } = leader();
    const asksSince = async (ms: number) => {
      asked.length = 0;
      await clock.advance(ms);
      return asked.filter(({ message }) => message['vouch'] === true).length;
    };
    expect(await asksSince(11_999)).toBe(0);
    expect(await asksSince(200)).toBe(3);
    authority.note({ kind: 'lease-asked' });
    authority.note({ kind: 'lease-renewed', asked: 2, leaseId: 'lease-a', sentAtMs: clock.bootMs() });
    expect(await asksSince(11_000)).toBe(0);
  });

  it.each<[string, Scene]>([
    ['no primary runs here yet', { pg: pg.standby() }],
    ['a write to /sync may still arrive', { syncUnsettled: true }],
    ['PostgreSQL is down', { pg: pg.stopped() }],
  ])('does not ask to vouch while %s', async (_why, scene) => {
    const { asked, untilItAsks } = leader({ ...leading, ...scene });
    await untilItAsks();
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter(({ message }) => 'vouch' in message)).toEqual([]);
  });
});

it('a leader asks to vouch also while its PostgreSQL does not answer: it may in a moment', async () => {
  const { asked, clock, untilItAsks, see } = leader();
  await untilItAsks();
  see({ view: null, pg: { ...pg.primary(), sql: null, state: 'unresponsive' } }, memory({ role: 'primary' }));
  asked.length = 0;
  await clock.advance(400);
  expect(asked.some(({ message }) => message['vouch'] === true)).toBe(true);
});

describe('a leader that is vouched for', () => {
  it('counts from when it asked, not from when the answer came', async () => {
    const { clock, authority, heard, untilItAsks, last, answer } = leader();
    await untilItAsks();
    const { atMs } = last('b');
    const question = last('b');
    await clock.advance(800);
    question.answer({ vouches: true });
    await clock.advance(0);
    expect(authority.now.vouched).toEqual({ sentAtMs: BEGIN_MS + atMs, by: ['b'] });
    expect(heard.vouched).toBe(1);
    await answer('b', { vouches: true });
    expect(authority.now.vouched?.sentAtMs).toBe(BEGIN_MS + last('b').atMs);
    expect(heard.vouched).toBe(2);
  });

  it('is not set back by the answer to an earlier question', async () => {
    const { clock, authority, heard, untilItAsks, last, answer } = leader();
    await untilItAsks();
    const early = last('b');
    await clock.advance(400);
    await answer('b', { vouches: true });
    early.answer({ vouches: true });
    await clock.advance(0);
    expect(authority.now.vouched?.sentAtMs).toBe(BEGIN_MS + early.atMs + 400);
    expect(heard.vouched).toBe(1);
  });

  it('needs as many voters as a commit waits for, and no others', async () => {
    const { authority, untilItAsks, answer } = leader({ ...leading, view: cluster('a', { sync: sync('a', 0, ['b', 'c']) }) });
    await untilItAsks();
    await answer('b', { vouches: true });
    await answer('d', { vouches: true });
    expect(authority.now.vouched).toBeNull();
    await answer('c', { vouches: true });
    expect(authority.now.vouched?.by).toEqual(['b', 'c']);
  });

  it('is so by no answer that came too late, was refused, or did not come', async () => {
    const { authority, beats: it, see, untilItAsks, last, answer, clock } = leader();
    await untilItAsks();
    await answer('b', null);
    await answer('c', { vouches: false });
    const question = last('d');
    expect(authority.now.vouched).toBeNull();
    await clock.advance(200);
    const open = last('b');
    see({ ...leading, view: cluster('a', { sync: sync('a', 1, ['b', 'c'], '11') }) });
    for (const one of [open, question]) one.answer({ vouches: true, fence: '5/8' });
    await clock.advance(0);
    expect([authority.now.vouched, it.facts().answers.size]).toEqual([null, 0]);
  });
});

it('a leader that has changed /sync since it read it needs the word of both sets', async () => {
  const { authority, untilItAsks, answer, decide, see } = leader();
  await untilItAsks();
  await answer('b', { vouches: true });
  expect(authority.now.vouched?.by).toEqual(['b']);
  const expected = sync('a', 1, ['b', 'c']);
  decide({ kind: 'write-sync', leader: 'a', quorum: 0, standbys: ['c'], expected, term: '5' });
  expect(authority.now.vouched).toBeNull();
  await answer('b', { vouches: true });
  expect(authority.now.vouched).toBeNull();
  await answer('c', { vouches: true });
  expect(authority.now.vouched?.by).toEqual(['b', 'c']);
  see({ ...leading, view: cluster('a', { sync: sync('a', 0, ['c'], '11') }) });
  expect(authority.now.vouched?.by).toEqual(['b', 'c']);
  see({ ...leading, view: cluster('a', { sync: sync('a', 0, ['d'], '12') }) });
  expect(authority.now.vouched).toBeNull();
});

describe('what voters answer', () => {
  it('wakes a leader when one has promised to leave it, or has read of another, once each', async () => {
    const { clock, heard, answer, beats: it } = leader();
    const twice = async (told: JsonObject) => {
      const before = heard.woken;
      for (let i = 0; i < 2; i += 1) {
        await clock.advance(200);
        await answer('b', told);
      }
      return heard.woken - before;
    };
    expect(await twice({ leader: 'a', term: '5' })).toBe(0);
    expect(await twice({ fence: '5/7' })).toBe(0);
    expect(await twice({ fence: '5/8' })).toBe(1);
    expect(it.facts().answers.get('b')).toMatchObject({ fence: '5/8', atMs: clock.bootMs() });
    expect(await twice({ leader: 'c', term: '12' })).toBe(1);
    expect(it.facts().answers.get('b')?.leader).toEqual({ name: 'c', term: '12' });
  });

  it('is forgotten with the term, and with the revision of /sync, to which it was said', async () => {
    const { see, answer, beats: it } = leader();
    await answer('b', { fence: '5/8' });
    see({ ...leading, view: null });
    expect(it.facts().answers.size).toBe(1);
    see(leading);
    expect(it.facts().answers.size).toBe(1);
    see({ ...leading, view: cluster('a', { sync: sync('a', 1, ['b', 'c'], '11') }) });
    expect(it.facts().answers.size).toBe(0);
    expect(it.facts().lastFence).toMatchObject({ term: '5', sync: '11' });
  });

  it('does not change the facts of a round that has them already', async () => {
    const { answer, beats: it } = leader();
    await answer('b', {});
    const facts = it.facts();
    await answer('c', {});
    expect([facts.answers.size, it.facts().answers.size]).toEqual([1, 2]);
  });

  it('or fails to answer: without etcd a leader is isolated after two suspect_after', async () => {
    const { clock, see, answer, beats: it } = leader();
    await clock.advance(5000);
    await answer('b', {});
    see({ ...leading, view: null });
    await clock.advance(2000);
    expect(it.isIsolated()).toBe(false);
    await clock.advance(1);
    expect(it.isIsolated()).toBe(true);
    see(leading);
    expect(it.isIsolated()).toBe(false);
  });
});
