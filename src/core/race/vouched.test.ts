/** A race after a leader for which voters may still have vouched: it may go on without its key. */
import { describe, expect, it } from 'vitest';
import { memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import { isLetGo } from '../let-go.ts';
import { noLinks } from '../quorum/link-facts.ts';
import { raceVerdict } from './race.ts';

const NOW_MS = 20_000;
const sync = { leader: 'c', quorum: 1, standbys: ['a', 'b'], modRevision: '3' };
const failover = { leader: null, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
const connected = { primaryConninfo: 'host=c' };

interface Play {
  readonly mode?: 'off' | 'on' | 'quorum';
  readonly vouchedUntilMs?: number;
  readonly sinceMs?: number;
  readonly vouchesFor?: string;
  readonly standbys?: readonly string[];
  readonly named?: boolean;
  readonly sql?: Parameters<typeof pg.standby>[0];
}
function round({ mode = 'quorum', vouchedUntilMs = 0, sinceMs = 0, vouchesFor, standbys = ['a', 'b'], named, sql = {} }: Play) {
  return observation({
    nowMs: NOW_MS,
    view: view({ sync: { ...sync, standbys }, ...(named && { failover }) }),
    settings: settings('a', { dynamic: { synchronousMode: mode } }),
    pg: pg.standby(sql),
    peers: peers(peer('b', vouchesFor === undefined ? {} : { vouchesFor })),
    links: { ...noLinks(sinceMs), vouched: { leader: 'c', untilMs: vouchedUntilMs } },
  });
}
const race = (play: Play) => raceVerdict(contextOf(round(play), memory()));

describe('a voter that has vouched', () => {
  it('keeps out of the race until its word is over', () => {
    expect(race({ vouchedUntilMs: NOW_MS + 1 })).toMatchObject({ id: 'race.vouched', verdict: 'leave for now' });
    expect(race({ vouchedUntilMs: NOW_MS })).toMatchObject({ verdict: 'take' });
  });

  it('keeps the word of its agent before', () => {
    expect(race({ sinceMs: NOW_MS - 2999 }).id).toBe('race.vouched');
    expect(race({ sinceMs: NOW_MS - 3000 })).toMatchObject({ verdict: 'take' });
  });

  it('does so in mode on as well, and whatever an operator names', () => {
    expect(race({ mode: 'on', vouchedUntilMs: NOW_MS + 1 }).id).toBe('race.vouched');
    expect(race({ named: true, vouchedUntilMs: NOW_MS + 1 }).id).toBe('race.vouched');
    expect(race({ named: true }).id).toBe('race.failover-candidate');
  });

  it('is nothing where no standby has to confirm a commit, or /sync does not name it', () => {
    expect(race({ mode: 'off', standbys: [], sinceMs: NOW_MS })).toMatchObject({ verdict: 'take' });
    expect(race({ mode: 'off', sinceMs: NOW_MS }).id).toBe('race.vouched');
    expect(race({ standbys: ['b'], sinceMs: NOW_MS, named: true }).id).toBe('race.failover-candidate');
  });
});

it('one that hears of another’s word waits for its end, though an operator names it', () => {
  expect(race({ vouchesFor: 'c' })).toMatchObject({
    id: 'race.others-vouch',
    verdict: 'leave for now',
    because: 'b has vouched for c, which may go on without its key',
  });
  expect(race({ vouchesFor: 'c', named: true }).id).toBe('race.others-vouch');
  expect(race({ vouchesFor: 'a', named: true }).id).toBe('race.failover-candidate');
});

describe('a voter lets go of the last leader', () => {
  const letGo = { kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' };
  const far = memory({ role: 'replica', receiverGoneSinceMs: 1000, leaderlessSinceMs: 1000 });
  const decided = (play: Play) => decide({ ...round(play), peers: peers(peer('b', { attached: true })) }, far).effects;

  it('by its files, not while it is bound by its word', () => {
    expect(decided({ sql: connected })).toContainEqual(letGo);
    expect(decided({ sql: connected, vouchedUntilMs: NOW_MS + 1 })).not.toContainEqual(letGo);
    expect(decided({ sql: connected, sinceMs: NOW_MS - 1 })).not.toContainEqual(letGo);
  });

  it('nor does it count as let go then, because it tried in vain', () => {
    const counts = (play: Play) => isLetGo(contextOf(round(play), far));
    expect([counts({ sql: connected }), counts({ sql: connected, vouchedUntilMs: NOW_MS + 1 })]).toEqual([true, false]);
  });
});
