/** Who may be the server of `standby_cluster`, and when a leader asks that first. */
import { describe, expect, it } from 'vitest';
import { lsn, member, observation, pg, settings, view } from '../../test/support/build.ts';
import { FOREIGN_ID, standbyClusters } from '../../test/support/random-standby-clusters.ts';
import type { SourceHistory } from './postgres-facts.ts';
import type { Endpoint } from './settings.ts';
import { asksRemoteFirst, type RemoteQuestion, refusedRemote, remoteNotes, wrongRemote } from './wrong-remote.ts';

const at = (...endpoints: Endpoint[]) => ({ standbyCluster: { ...standbyClusters[0]!, endpoints } });
const outside = { host: '10.9.9.9', port: 5432 };
const source = (systemIdentifier: string): SourceHistory => ({
  name: '10.9.9.9:5432',
  systemIdentifier,
  timeline: 1,
  lsn: lsn(1),
  history: [],
  inRecovery: false,
});
const [own, foreign] = [source(pg.primary().systemIdentifier!), source(FOREIGN_ID)];
const members = [member('a'), member('b', { connUrl: 'postgres://[::2]/postgres' })];
const question = (over: Partial<RemoteQuestion> = {}): RemoteQuestion => ({
  settings: settings('a', { dynamic: at(outside), postgresql: { port: 5433, connectHost: 'a', connectPort: 5433 } }),
  view: { ...view({ leaderName: 'a' }), members },
  pg: pg.primary(),
  before: null,
  isBusy: false,
  nowMs: 20_000,
  ...over,
});
const refused = { name: '10.9.9.9:5432', why: 'another', askedAtMs: 10_001 };

describe('a server outside', () => {
  const judged = (endpoints: Endpoint[], asked: SourceHistory | null = own) =>
    wrongRemote(
      observation({
        settings: settings('a', { dynamic: at(...endpoints), postgresql: { port: 5433 } }),
        view: { ...view(), members },
        pg: pg.standby(),
        source: asked,
      }),
    );

  it('is wrong where it has another system identifier', () => {
    expect(judged([outside], foreign)).toBe(
      `10.9.9.9:5432 is another cluster (system identifier ${FOREIGN_ID}, this one's is ${own.systemIdentifier})`,
    );
    expect([judged([outside]), judged([outside], null)]).toEqual([null, null]);
  });

  it.each([
    ['a', { host: 'a', port: 5432 }],
    ['b', { host: '::2', port: 5432 }],
    ['a', { host: 'localhost', port: 5433 }],
  ])('is wrong where it is a member of this cluster (%s)', (name, endpoint) => {
    expect(judged([endpoint])).toContain(`is no other cluster: ${name} is a member of this one`);
    expect(judged([endpoint, outside])).toBeNull();
    expect(judged([{ ...endpoint, port: 6000 }])).toBeNull();
  });
});

describe('a primary that leads', () => {
  it('asks before it stops, and asks one that it refused now and then', () => {
    expect(asksRemoteFirst(question())).toBe(true);
    expect(asksRemoteFirst(question({ before: refused }))).toBe(false);
    expect(asksRemoteFirst(question({ before: { ...refused, askedAtMs: 10_000 } }))).toBe(true);
    expect(asksRemoteFirst(question({ before: { ...refused, name: 'c:5432' } }))).toBe(true);
  });

  it.each([
    ['another leads', { view: view({ leaderName: 'b' }) }],
    ['nobody leads', { view: view() }],
    ['it is a standby', { pg: pg.standby() }],
    ['a job runs', { isBusy: true }],
    ['there is an archive alone', { settings: settings('a', { dynamic: { standbyCluster: standbyClusters[2]! } }) }],
  ] as [string, Partial<RemoteQuestion>][])('asks nobody where %s', (_, over) => {
    expect(asksRemoteFirst(question(over))).toBe(false);
  });

  it('refuses another cluster, and obeys where nothing is known', () => {
    expect(refusedRemote(question(), true, foreign)).toMatchObject({ name: '10.9.9.9:5432', askedAtMs: 20_000 });
    expect(refusedRemote(question(), true, own)).toBeNull();
    expect(refusedRemote(question(), true, null)).toBeNull();
  });

  it('goes on refusing until that server is the right one, the setting names another, or another leads', () => {
    const before = refused;
    expect(refusedRemote(question({ before }), false, null)).toBe(before);
    expect(refusedRemote(question({ before }), true, null)).toEqual({ ...before, askedAtMs: 20_000 });
    expect(refusedRemote(question({ before, pg: pg.stopped() }), false, null)).toBe(before);
    expect(refusedRemote(question({ before, view: view() }), false, null)).toBe(before);
    expect(refusedRemote(question({ before }), true, own)).toBeNull();
    expect(refusedRemote(question({ before: { ...before, name: 'c:5432' } }), false, null)).toBeNull();
    expect(refusedRemote(question({ before, view: view({ leaderName: 'b' }) }), false, null)).toBeNull();
    expect(refusedRemote(question({ before, view: view(), pg: pg.standby() }), false, null)).toBeNull();
  });

  it('says so when it begins and when it ends', () => {
    const [none, some] = [{ refusedRemote: null }, { refusedRemote: refused }];
    const o = { settings: settings('a') };
    expect(remoteNotes(none, some, o)).toEqual([
      {
        level: 'error',
        text: expect.stringMatching(/^not becoming a standby leader.*another; correct .* edit-config demo -s standby_cluster=null$/),
      },
    ]);
    expect(remoteNotes(some, { refusedRemote: { ...refused, askedAtMs: 20_000 } }, o)).toEqual([]);
    expect(remoteNotes(some, none, o)).toMatchObject([{ level: 'info' }]);
  });
});
