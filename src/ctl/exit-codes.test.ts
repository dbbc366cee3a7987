/**
 * What did not succeed ends with a code that is not 0 and says what came of it, under the name of
 * patronictl too.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { ctl, type FakeAnswer, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../test/fixtures/ctl.ts';

const members = tutorialMembers();
let etcd: MemoryEtcd;

beforeEach(() => {
  etcd = tutorialCluster('demo', members.urlOf);
});

const programs = ['regentctl', 'patronictl'];
const asked = () => members.asked.map(({ member }) => member);
const lines = (out: string) => out.trimEnd().split('\n');

describe.each(programs)('%s', (program) => {
  test.each([
    ['restart', 'demo', 'patroni2', '--force'],
    ['reload', 'demo', 'patroni2', '--force'],
    ['reinit', 'demo', 'patroni2', '--force'],
    ['reinit', 'demo', 'patroni2', '--force', '--wait'],
    ['switchover', '--candidate', 'patroni2', '--force'],
    ['failover', '--candidate', 'patroni2', '--force'],
    ['pause'],
  ])('%s: a refusal is no success', async (...words) => {
    members.answer(() => ({ status: 503, text: 'no' }));
    const { code, out } = await ctl(words, { etcd, program });
    expect([code, lines(out).at(-1)]).toEqual([1, expect.stringContaining('503')]);
  });

  test.each(['restart', 'switchover'])('flush %s: a refusal is no success', async (event) => {
    const at = '2030-01-01T00:00:00+00:00';
    etcd.put('demo', 'failover', { leader: 'patroni1', scheduled_at: at });
    etcd.put('demo', 'members/patroni2', { api_url: members.urlOf('patroni2'), role: 'replica', scheduled_restart: { schedule: at } });
    members.answer(() => ({ status: 404, text: 'nothing is scheduled' }));
    const { code, out } = await ctl(['flush', 'demo', event, '--force'], { etcd, program });
    expect([code, out]).toEqual([1, expect.stringContaining('Failed: ')]);
  });
});

describe('reinit --wait', () => {
  const started: FakeAnswer = { text: 'reinitialize started', headers: { 'Regent-Job': 'm1-2' } };
  /** The member's answers to the polls, the last one for ever. */
  const run = (...bodies: unknown[]) => {
    let polls = 0;
    members.answer(({ what }) => (what === 'POST /reinitialize' ? started : JSON.stringify(bodies[Math.min(polls++, bodies.length - 1)])));
    return ctl(['reinit', 'demo', 'patroni2', '--wait', '--force'], { etcd });
  };
  const job = (state: string, more = {}) => ({ state: 'running', regent: { reinitialize: { job: 'm1-2', state, ...more } } });

  test('the job that was asked for, whatever the state of the member', async () => {
    const { code, out } = await run(
      job('waiting'),
      { ...job('running'), state: 'creating replica' },
      { ...job('running'), state: 'starting' },
      job('done'),
    );
    expect([code, lines(out).at(-1)]).toEqual([0, 'Reinitialize is completed on: patroni2']);
    expect(asked()).toHaveLength(5);
  });

  test('one that failed, and why', async () => {
    const { code, out } = await run(job('waiting'), job('failed', { reason: 'reinitialize failed: lost+found is in the way' }));
    expect([code, lines(out).at(-1)]).toEqual([1, 'Reinitialize failed on: patroni2 (reinitialize failed: lost+found is in the way)']);
  });

  test.each([
    [{ state: 'running' }, 'its agent has been restarted since'],
    [{ state: 'running', regent: { reinitialize: { job: 'm1-3', state: 'done' } } }, 'another reinitialize was requested since'],
  ])('one whose outcome is no longer known: %j', async (body, why) => {
    const { code, out } = await run(job('running'), body);
    expect([code, lines(out).at(-1)]).toEqual([1, `Reinitialize result unknown on: patroni2 (${why}; list shows how it is now)`]);
  });

  test('a member that says nothing any more is not waited for without end', async () => {
    members.answer(({ what }) => (what === 'POST /reinitialize' ? started : 'hm'));
    const { code, out } = await ctl(['reinit', 'demo', 'patroni2', '--wait', '--force'], { etcd });
    expect([code, lines(out).at(-1)]).toEqual([
      1,
      'Reinitialize result unknown on: patroni2 (no answer, or PostgreSQL down, for 10 minutes)',
    ]);
  });

  test.each([
    [['stopped', 'creating replica', 'running'], 0, 'Reinitialize is completed on: patroni2'],
    [['creating replica', 'start failed'], 1, 'Reinitialize failed on: patroni2 (its PostgreSQL is start failed)'],
  ])('of a Patroni only the state of its PostgreSQL is known: %j', async (states, exitCode, last) => {
    let polls = 0;
    members.answer(({ what }) => (what === 'POST /reinitialize' ? 'reinitialize started' : JSON.stringify({ state: states[polls++] })));
    const { code, out } = await ctl(['reinit', 'demo', 'patroni2', '--wait', '--force'], { etcd });
    expect([code, lines(out).at(-1)]).toEqual([exitCode, last]);
  });
});

describe('restart of several', () => {
  test('stops after the first that failed, and says which are left', async () => {
    members.answer(({ member }) =>
      member === 'patroni2' ? { status: 503, text: 'restart failed', headers: { 'Regent-Reason': 'no' } } : 'restarted successfully',
    );
    const { code, out } = await ctl(['-k', 'restart', 'demo', '--timeout', '1min', '--force'], { etcd });
    expect(code).toBe(1);
    expect(asked()).toEqual(['patroni1', 'patroni2']);
    expect(lines(out).slice(-4)).toEqual([
      'Success: restart on member patroni1',
      'Failed: restart for member patroni2, status code=503, (restart failed: no)',
      "Not restarted: patroni3, because a restart failed. Find the cause (list, that member's log), then continue: regentctl -k restart demo patroni3 --timeout 1min",
      'With --keep-going, a failed restart does not keep the others from being restarted.',
    ]);
  });

  test('a condition that does not apply is no failure; one that cannot be known is', async () => {
    members.answer(() => ({ status: 503, text: 'restart conditions are not satisfied' }));
    const skipped = await ctl(['restart', 'demo', '--pg-version', '15.4', '--force'], { etcd });
    expect([skipped.code, asked().length]).toEqual([0, 3]);
    expect(lines(skipped.out).at(-1)).toBe('Skipped: restart on member patroni3, restart conditions are not satisfied');
    members.answer(() => ({
      status: 503,
      text: 'restart conditions are not satisfied',
      headers: { 'Regent-Reason': 'PostgreSQL does not answer, so they are not known' },
    }));
    expect((await ctl(['restart', 'demo', '--pg-version', '15.4', '--force'], { etcd })).code).toBe(1);
    members.answer(() => ({ status: 503, text: 'restart conditions are not satisfied' }));
    expect((await ctl(['restart', 'demo', '--force'], { etcd })).code).toBe(1);
  });

  test('schedules are made for all: nothing is restarted yet', async () => {
    members.answer(({ member }) => (member === 'patroni1' ? { status: 409, text: '' } : { status: 202, text: 'Restart scheduled' }));
    const { code } = await ctl(['restart', 'demo', '--scheduled', '2030-01-01T00:00Z', '--force'], { etcd });
    expect([code, asked()]).toEqual([1, ['patroni1', 'patroni2', 'patroni3']]);
  });
});
