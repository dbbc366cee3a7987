/**
 * A member on which a base backup was restored: what it confirmed before need not be there any
 * more.
 */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view, walreceiver } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import { possibleSuccessors } from './successors.ts';

const sync = { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' };
const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
const free = { ...view(), sync, members: ['a', 'b', 'c'].map((name) => member(name)) };
const standby = pg.standby({ primaryConninfo: '', receiver: null });
const asked = (scene: Scene) => {
  const { because, effects } = decide(observation({ view: free, settings: quorum, ...scene }), memory());
  return { because, kinds: effects.map(({ kind }) => kind) };
};

describe('while no member leads', () => {
  it('its vote counts for no member', () => {
    expect(asked({ pg: standby, peers: peers(peer('c')) }).kinds).toContain('acquire-leader');
    const without = asked({ pg: standby, peers: peers(peer('c', { restored: true })) });
    expect(without.kinds).not.toContain('acquire-leader');
    expect(without.because).toContain('1 of the 2 votes needed');
  });
  it('it does not lead, whoever votes for it and although it led last', () => {
    const own = asked({ pg: { ...standby, restored: true }, peers: peers(peer('c')) });
    expect(own.kinds).not.toContain('acquire-leader');
    expect(own.because).toContain('a base backup was restored on this node');
    const led = { ...free, sync: { ...sync, leader: 'a', standbys: ['b', 'c'] } };
    expect(asked({ view: led, pg: standby, peers: peers(peer('c')) }).kinds).toContain('acquire-leader');
    expect(asked({ view: led, pg: { ...standby, restored: true }, peers: peers(peer('c')) }).kinds).not.toContain('acquire-leader');
  });
  it('no member waits for it, however far ahead it is or whatever its priority: votes tell which has the acknowledged commits', () => {
    const led = { ...free, sync: { leader: 'a', quorum: 0, standbys: ['b'], modRevision: '8' } };
    const beside = (over: Parameters<typeof peer>[1]) => asked({ view: led, pg: standby, peers: peers(peer('b', over)) });
    for (const ahead of [{ timeline: 2 }, { lsn: lsn(9000) }, { tags: { failover_priority: 2 } }]) {
      expect(beside({ ...ahead, restored: true }).kinds).toContain('acquire-leader');
      expect(beside(ahead).kinds).not.toContain('acquire-leader');
    }
    // c led last and is gone: what b confirmed to it is on b alone, or nowhere.
    const others = { ...free, sync: { leader: 'c', quorum: 1, standbys: ['a', 'b'], modRevision: '8' } };
    const alone = asked({ view: others, pg: standby, peers: peers(peer('b', { lsn: lsn(9000), restored: true })) });
    expect(alone.because).toContain('1 of the 2 votes needed');
    // Outside /sync it may have the votes of others.
    const outside = { ...others, sync: { ...others.sync, quorum: 0, standbys: ['a'] } };
    expect(asked({ view: outside, pg: standby, peers: peers(peer('b', { lsn: lsn(9000), restored: true })) }).because).toContain(
      'b is ahead',
    );
  });
  it('it leads where no commit was promised, or an operator names it', () => {
    const off = settings('a', { dynamic: { synchronousMode: 'off' } });
    const nothing = { ...free, sync: null };
    expect(asked({ settings: off, view: nothing, pg: { ...standby, restored: true }, peers: peers(peer('c')) }).kinds).toContain(
      'acquire-leader',
    );
    const request = { leader: null, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    expect(asked({ view: { ...free, failover: request }, pg: { ...standby, restored: true }, peers: peers() }).kinds).toContain(
      'acquire-leader',
    );
  });
});

it('no switchover goes to it', () => {
  const mine = { ...free, ...view({ leaderName: 'a' }), sync: null };
  const c = (restored: boolean) =>
    contextOf(observation({ view: mine, pg: pg.primary(), peers: peers(peer('b', restored ? { restored } : {})) }), memory());
  expect(possibleSuccessors(c(false), mine, {})).toEqual(['b']);
  expect(possibleSuccessors(c(true), mine, {})).toEqual([]);
});

describe('the mark', () => {
  const follower = (received: number, latestEnd: number) => ({
    ...pg.standby({
      receiveLsn: lsn(received),
      primaryConninfo: 'host=b port=5432',
      receiver: walreceiver({ latestEndLsn: lsn(latestEnd) }),
    }),
    restored: true,
  });
  it('is removed once it has all that its leader had, and not before', () => {
    const led = view({ leaderName: 'b' });
    expect(asked({ view: led, pg: follower(900, 1000) }).kinds).not.toContain('mark-caught-up');
    expect(asked({ view: led, pg: follower(1000, 1000) }).kinds).toContain('mark-caught-up');
    expect(asked({ view: led, pg: { ...follower(1000, 1000), restored: false } }).kinds).not.toContain('mark-caught-up');
  });

  it('is looked at again within half a second while the node streams: without its vote nobody may lead', () => {
    const led = view({ leaderName: 'b' });
    const wakesInMs = (own: NonNullable<Scene['pg']>) => {
      const o = observation({ view: led, pg: own });
      const { wakeAtMs } = decide(o, memory());
      return wakeAtMs === null ? null : wakeAtMs - o.nowMs;
    };
    expect(wakesInMs(follower(900, 1000))).toBe(500);
    expect(wakesInMs({ ...follower(900, 1000), restored: false })).toBeNull();
    expect(wakesInMs(follower(1000, 1000))).toBeNull();
  });
});
