/**
 * Somebody promoted a replica beside the leader. Its agent sees that once; the mark tells it to
 * every agent that comes later.
 */
import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, peer, peers, pg, type Scene, settings, view, walreceiver } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import { emptyMemory, type Memory } from './model.ts';

const led = view({ leaderName: 'b' });
const source = { name: 'b', systemIdentifier: '7301234567890123456', timeline: 1, lsn: lsn(2000), history: [], inRecovery: false };
const promoted = pg.primary({ timeline: 2 });
const stopped = pg.stopped({ state: 'in production', timeline: 2, checkpointLsn: lsn(1000) });
const readOnly = pg.standby({ timeline: 2, receiveLsn: lsn(1000), replayLsn: lsn(1000), receiver: null });
const alone = { view: view(), peers: peers(peer('b', { lsn: lsn(900) }), peer('c', { lsn: lsn(900) })) };
const runs: Partial<Memory> = { role: 'replica', state: 'running' };
const marked = <T extends object>(facts: T) => ({ ...facts, openedByHand: true });
const chore = (opened: boolean) => ({ kind: 'opened-by-hand', effects: [{ kind: 'mark-opened-by-hand', opened }] });
const decided = (scene: Scene, before: Partial<Memory> = {}) => decide(observation({ view: led, ...scene }), memory(before));

describe('the mark of a promotion by hand', () => {
  it('is set in the round that demotes the node, after the demotion', () => {
    const { steps, chores, effects } = decided({ pg: promoted }, runs);
    expect(steps).toContainEqual({ kind: 'demote-now', mode: 'immediate' });
    expect(chores).toContainEqual(chore(true));
    expect(effects.at(-1)).toEqual({ kind: 'mark-opened-by-hand', opened: true });
  });

  it('is set in a pause too, where nobody demotes the node', () => {
    const paused = settings('a', { dynamic: { pause: true } });
    const { steps, chores } = decided({ pg: promoted, settings: paused }, runs);
    expect(steps).toEqual([]);
    expect(chores).toContainEqual(chore(true));
  });

  it('is set also where etcd did not answer at first, and then names another leader', () => {
    const followed: Partial<Memory> = { ...runs, formerLeader: 'b' };
    const unseen = decided({ pg: promoted, view: null }, followed);
    expect(unseen).toMatchObject({ chores: [], memory: { openedByHand: false, openedUnseen: true } });
    const silent = decided({ pg: stopped, view: null }, { ...unseen.memory, role: 'demoted' });
    expect(silent.memory.openedUnseen).toBe(true);
    const found = decided({ pg: stopped, source: { ...source, inRecovery: true } }, silent.memory);
    expect(found.memory).toMatchObject({ openedByHand: true, openedUnseen: false });
    expect(found.chores).toContainEqual(chore(true));
    // Nobody led, or nobody promoted it by hand.
    expect(decided({ ...alone, pg: readOnly }, silent.memory).memory).toMatchObject({ openedByHand: false, openedUnseen: false });
    for (const before of [
      { role: 'primary' },
      { role: 'promoted' },
      { formerLeader: 'a' },
      { formerLeader: null },
      { leadReason: 'x' },
    ] as const)
      expect(decided({ pg: promoted, view: null }, { ...followed, ...before }).memory.openedUnseen).toBe(false);
  });

  it('is set again where it could not be written, but not beside a job that replaces the data', () => {
    const knows: Partial<Memory> = { role: 'primary', state: 'stopping', openedByHand: true };
    expect(decided({ pg: stopped, source: { ...source, inRecovery: true } }, knows).chores).toEqual([chore(true)]);
    expect(decided({ pg: stopped, source }, knows)).toMatchObject({ rule: 'mend.rewind', chores: [] });
  });

  it('is not set for a former leader, whose new agent finds it as a primary beside the next one', () => {
    const found = decided({ pg: promoted }, emptyMemory);
    expect(found).toMatchObject({ chores: [], memory: { openedByHand: false } });
    expect(decided({ pg: promoted }, { role: 'primary', state: 'running' })).toMatchObject({ chores: [], memory: { openedByHand: false } });
  });
});

describe('an agent that has just been started, and finds the mark', () => {
  it('keeps out of the race when the leader is gone', () => {
    expect(decided({ ...alone, pg: readOnly }, emptyMemory).steps).toEqual([{ kind: 'acquire-leader' }]);
    const knows = decided({ ...alone, pg: marked(readOnly) }, emptyMemory);
    expect(knows).toMatchObject({ rule: 'race.diverged', steps: [], memory: { openedByHand: true } });
    expect(knows.chores).not.toContainEqual(chore(false));
  });

  it('lets the node be rewound instead of asking an operator which history is to stay', () => {
    expect(decided({ pg: stopped, source }, emptyMemory).rule).toBe('stopped.leader-has-less');
    expect(decided({ pg: marked(stopped), source }, emptyMemory).rule).toBe('mend.rewind');
  });

  it('knows it also while the node still runs as a primary, and while etcd does not answer', () => {
    expect(decided({ pg: marked(promoted) }, emptyMemory).memory.openedByHand).toBe(true);
    expect(decided({ pg: marked(promoted), view: null }, emptyMemory).memory.openedByHand).toBe(true);
    expect(decided({ pg: marked(stopped), view: null }, emptyMemory).memory.openedByHand).toBe(true);
  });
});

describe('the mark is removed', () => {
  it('when a rewind or a copy has replaced what was written by hand', () => {
    for (const kind of ['rewind', 'reinitialize'] as const) {
      const job = { kind, source: { name: 'b', host: 'b', port: 5432 }, fromLeader: false };
      const ended = [{ job, ok: true, code: null, message: null, endedAtMs: 9000 }];
      const after = decided({ pg: marked(pg.standby()), source, ended }, { ...runs, openedByHand: true });
      expect(after.memory.openedByHand).toBe(false);
      expect(after.chores).toContainEqual(chore(false));
    }
  });

  it('when the node streams: an operator may have replaced the data', () => {
    const streams = pg.standby({ receiver: walreceiver({ latestEndLsn: lsn(900) }), receiveLsn: lsn(900), replayLsn: lsn(900) });
    expect(decided({ pg: marked(streams) }, emptyMemory)).toMatchObject({ memory: { openedByHand: false } });
    expect(decided({ pg: marked(streams) }, emptyMemory).chores).toContainEqual(chore(false));
  });

  it('before an operator’s failover promotes the node, so that no agent finds it beside a leader’s timeline', () => {
    const failover = { leader: null, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
    const mine = { ...alone, view: view({ leaderName: 'a', failover }), pg: marked(readOnly) };
    const { rule, steps } = decided(mine, { ...runs, keyTaken: true });
    expect(rule).toBe('standby.promote');
    const order = steps.map(({ kind }) => kind);
    expect(order.indexOf('mark-opened-by-hand')).toBeGreaterThanOrEqual(0);
    expect(order.indexOf('mark-opened-by-hand')).toBeLessThan(order.indexOf('start-job'));
  });

  it('when the node leads', () => {
    const leads = decided({ view: view({ leaderName: 'a' }), pg: marked(promoted) }, { role: 'primary', keyTaken: true });
    expect(leads.chores).toContainEqual(chore(false));
  });
});
