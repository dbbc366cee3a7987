/**
 * Standbys whose replay is paused: by an operator, or by PostgreSQL where a limit is lower than the
 * primary's.
 */
import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';

const sync = { leader: 'x', quorum: 1, standbys: ['a', 'b'], modRevision: '1' };
const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
const paused = pg.standby({ replayPaused: true, receiveLsn: lsn(1000), replayLsn: lsn(700) });
const kinds = (over: Parameters<typeof observation>[0], leaderlessSinceMs = 9000) =>
  decide(observation({ view: view({ sync }), settings: quorum, pg: paused, ...over }), memory({ leaderlessSinceMs })).effects.map(
    ({ kind }) => kind,
  );

describe('a candidate whose replay is paused', () => {
  it('resumes it where it cannot win as it is, and only after the others had their turn', () => {
    const moving = peers(peer('b', { replaying: true }));
    expect(kinds({ peers: moving })).toContain('resume-replay');
    expect(kinds({ peers: moving }, 9800)).not.toContain('resume-replay');
    expect(kinds({ peers: moving, pg: pg.standby() })).not.toContain('resume-replay');
  });

  it('wins by the WAL it has received, and resumes replay before the promotion', () => {
    const behind = peers(peer('b', { lsn: lsn(900), replayLsn: lsn(500) }));
    expect(kinds({ peers: behind })).toContain('acquire-leader');
    const leads = decide(observation({ view: view({ sync, leaderName: 'a' }), settings: quorum, pg: paused }), memory());
    expect(leads).toMatchObject({ rule: 'standby.replay-paused', steps: [{ kind: 'resume-replay' }] });
  });

  it('stays as it is where it may not lead, or the cluster is paused', () => {
    const tagged = settings('a', { dynamic: { synchronousMode: 'quorum' }, local: { tags: { nofailover: true } } });
    const helm = settings('a', { dynamic: { synchronousMode: 'quorum', pause: true } });
    for (const settings of [tagged, helm])
      expect(kinds({ settings, peers: peers(peer('b', { replaying: true })) })).not.toContain('resume-replay');
  });
});
