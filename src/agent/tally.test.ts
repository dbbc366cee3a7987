import { describe, expect, it } from 'vitest';
import { memory, observation, pg, view } from '../../test/support/build.ts';
import type { FailoverKey } from '../core/cluster.ts';
import type { Job } from '../core/effects.ts';
import { noCounts } from '../ports/agent-status.ts';
import { Tally } from './tally.ts';

const calm = memory({ role: 'replica' });
const leads = (leaderName: string | undefined, failover: FailoverKey | null = null) =>
  observation({ view: view({ ...(leaderName === undefined ? {} : { leaderName }), failover }) });
const request: FailoverKey = { leader: 'b', candidate: null, scheduledAtMs: null, scheduledAt: null, modRevision: '7' };

function tally(...scenes: readonly ReturnType<typeof observation>[]): Partial<Tally['counts']> {
  const counter = new Tally();
  for (const scene of scenes) counter.note(calm, calm, scene);
  return Object.fromEntries(Object.entries(counter.counts).filter(([, count]) => count !== 0));
}

describe('the leader', () => {
  it('counts as changed when another member leads, not when the same one does again', () => {
    expect(tally(leads('b'), leads(undefined), leads('b'))).toEqual({});
    expect(tally(leads('b'), leads(undefined), leads('c'))).toEqual({ leaderChanges: 1, failovers: 1 });
    expect(tally(leads(undefined), leads('c'))).toEqual({});
  });

  it('counts no failover when an operator asked for the change', () => {
    expect(tally(leads('b', request), leads(undefined, request), leads('c', request), leads('c'))).toEqual({ leaderChanges: 1 });
    expect(tally(leads('b', request), leads('c'), leads('b'))).toEqual({ leaderChanges: 2, failovers: 1 });
  });

  it('counts a failover although a switchover was scheduled for later', () => {
    const later = { ...request, scheduledAtMs: leads('b').wallMs + 60_000, scheduledAt: 'x' };
    expect(tally(leads('b', later), leads(undefined, later), leads('c', later))).toEqual({ leaderChanges: 1, failovers: 1 });
  });
});

it('roles: the first one found is no change; a primary that is no longer one was demoted', () => {
  const counter = new Tally();
  const [primary, demoted] = [memory({ role: 'primary' }), memory({ role: 'demoted' })];
  counter.note(memory(), primary, leads('a'));
  expect(counter.counts).toEqual(noCounts);
  counter.note(primary, demoted, leads('b'));
  counter.note(demoted, calm, leads('b'));
  expect(counter.counts).toMatchObject({ roleChanges: 2, demotions: 1 });
});

it('an etcd that could not be read, and jobs by their outcome', () => {
  expect(tally(observation({ view: null, pg: pg.primary() }), observation({ view: null }))).toEqual({ etcdFailures: 2 });
  const source = { name: 'b', host: 'b', port: 1 };
  const jobs: readonly Job[] = [
    { kind: 'promote', syncNames: null },
    { kind: 'rewind', source },
    { kind: 'clone', source, fromLeader: false },
    { kind: 'reinitialize', source, fromLeader: true },
    { kind: 'start', role: { kind: 'standby', source }, why: 'x' },
    { kind: 'checkpoint' },
  ];
  const outcomes = (ok: boolean) => jobs.map((job) => ({ job, ok, code: null, message: null, endedAtMs: 1 }));
  expect(tally(observation({ ended: outcomes(true) }))).toEqual({ promotions: 1, rewinds: 1, clones: 2 });
  expect(tally(observation({ ended: outcomes(false) }))).toEqual({
    promotionFailures: 1,
    rewindFailures: 1,
    cloneFailures: 2,
    startFailures: 1,
  });
});
