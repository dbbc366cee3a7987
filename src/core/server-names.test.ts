import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, sql, view, walsender } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { carriedClashes, carriedName, carriedSyncNames, withMemberNames } from './server-names.ts';
import { syncStep } from './sync.ts';

const long = `node-${'x'.repeat(70)}`;

describe('a name as PostgreSQL carries it', () => {
  it('is cut to 63 bytes, and what is not ASCII is replaced, in another way from 16 on', () => {
    expect(carriedName('node1', 150_000)).toBe('node1');
    expect(carriedName(long, 150_000)).toBe(long.slice(0, 63));
    expect(carriedName('é1', 150_000)).toBe('??1');
    expect(carriedName('é1', 160_000)).toBe(String.raw`\xc3\xa91`);
  });

  it('is written into synchronous_standby_names', () => {
    expect(carriedSyncNames('ANY 1 (b,c)', 150_000)).toBe('ANY 1 (b,c)');
    expect(carriedSyncNames('ANY 1 ("é1",c)', 150_000)).toBe('ANY 1 ("??1",c)');
  });

  it('may be the same for two members: then it means neither', () => {
    expect(carriedClashes(['a', `${long}1`, `${long}2`, 'é'])).toEqual([[`${long}1`, `${long}2`]]);
    expect(carriedClashes(['db', 'c', 'DB'])).toEqual([['DB', 'db']]);
    const facts = sql({ replication: [walsender(long.slice(0, 63))] });
    const cluster = view({ members: [member(`${long}1`), member(`${long}2`)] });
    expect(withMemberNames(facts, cluster).replication[0]?.applicationName).toBe(long.slice(0, 63));
  });

  it.each([long, 'knoten-ä'])('does not keep the member %s from becoming synchronous', (name) => {
    const carried = carriedName(name, 150_000);
    const facts = pg.primary({ flushLsn: lsn(1000), synchronousStandbyNames: '', replication: [walsender(carried)] });
    const cluster = {
      ...view({ leaderName: 'a' }),
      members: [member('a'), member(name)],
      sync: { leader: 'a', quorum: 1, standbys: [name], modRevision: '7' },
    };
    const o = observation({
      me: 'a',
      view: cluster,
      pg: { ...facts, sql: withMemberNames(facts.sql!, cluster) },
      settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }),
    });
    expect(syncStep(contextOf(o, memory())).effects).toMatchObject([{ kind: 'set-sync-names', value: `ANY 1 ("${name}")` }]);
    const after = { ...facts.sql!, synchronousStandbyNames: `ANY 1 ("${carried}")` };
    expect(withMemberNames(after, cluster).synchronousStandbyNames).toBe(`ANY 1 ("${name}")`);
  });
});
