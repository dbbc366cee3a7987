/** What a server's state is called: the words of the dialect, by the facts that lead to them. */
import { describe, expect, it } from 'vitest';
import { memory, observation, pg, settings, view } from '../../test/support/build.ts';
import type { PostgresState } from './cluster.ts';
import { decide } from './decide.ts';
import type { Job } from './effects.ts';
import type { Memory, Observation } from './model.ts';
import type { PostgresFacts } from './postgres-facts.ts';
import { remember } from './remember.ts';
import type { BootstrapSettings } from './settings.ts';

const own: BootstrapSettings = {
  dcs: {},
  method: 'restore',
  initdb: [],
  postBootstrap: null,
  pgHba: [],
  methodOptions: { command: '/restore' },
};
const custom = settings('a', { local: { bootstrap: own } });
const failed = (kind: 'bootstrap' | 'start' | 'restart') => ({ failures: { [kind]: { count: 1, lastAtMs: 0, message: 'no' } } });
const incomplete: PostgresFacts = { ...pg.none, dataDir: 'incomplete', incompleteWork: 'bootstrap' };
const stateOf = (facts: Partial<Observation>, before: Partial<Memory> = {}) =>
  remember(observation({ view: view({ leaderName: 'b' }), ...facts }), memory(before)).state;
const running = (job: Job) => ({ job: { job, startedAtMs: 0 } });

describe('while a cluster or a copy is made, it is', () => {
  const bootstrap = running({ kind: 'bootstrap' });
  const cases: readonly (readonly [PostgresState, Partial<Observation>])[] = [
    ['initializing new cluster', { ...bootstrap, pg: incomplete }],
    ['starting', { ...bootstrap, pg: { ...incomplete, ...pg.starting(), dataDir: 'incomplete' } }],
    ['running', { ...bootstrap, pg: { ...pg.primary(), dataDir: 'incomplete' } }],
    ['running custom bootstrap script', { ...bootstrap, pg: incomplete, settings: custom }],
    ['starting after custom bootstrap', { ...bootstrap, pg: { ...pg.starting(), dataDir: 'incomplete' }, settings: custom }],
    ['starting after custom bootstrap', { ...bootstrap, pg: { ...pg.standby(), dataDir: 'incomplete' }, settings: custom }],
    ['running', { ...bootstrap, pg: { ...pg.primary(), dataDir: 'incomplete' }, settings: custom }],
    ['creating replica', { ...running({ kind: 'clone', source: null, fromLeader: false }), pg: pg.none }],
  ];
  it.each(cases)('%s', (state, facts) => expect(stateOf(facts)).toBe(state));
});

describe('of a server that is down, it is', () => {
  const cases: readonly (readonly [string, PostgresState, Partial<Observation>, Partial<Memory>])[] = [
    ['initdb that failed', 'initdb failed', { pg: incomplete }, failed('bootstrap')],
    ['a restore that failed', 'custom bootstrap failed', { pg: incomplete, settings: custom }, failed('bootstrap')],
    ['a start that failed', 'start failed', { pg: pg.stopped() }, failed('start')],
    ['a restart that failed', 'restart failed', { pg: pg.stopped() }, failed('restart')],
    ['a primary that died', 'crashed', { pg: pg.stopped({ state: 'in production' }) }, { state: 'running' }],
    ['… in the rounds after', 'crashed', { pg: pg.stopped({ state: 'in production' }) }, { state: 'crashed' }],
    ['a standby that died', 'crashed', { pg: pg.stopped({ state: 'in archive recovery' }) }, { state: 'running' }],
    ['a primary that was shut down by hand', 'stopped', { pg: pg.stopped({ state: 'shut down' }) }, { state: 'running' }],
    ['a standby that was', 'stopped', { pg: pg.stopped({ state: 'shut down in recovery' }) }, { state: 'running' }],
    ['one whose end nobody saw', 'stopped', { pg: pg.stopped({ state: 'in production' }) }, { state: 'unknown' }],
    ['one that the agent has stopped', 'stopped', { pg: pg.stopped({ state: 'in production' }) }, { state: 'stopping' }],
    ['one whose control file cannot be read', 'crashed', { pg: { ...pg.stopped(), control: null } }, { state: 'running' }],
  ];
  it.each(cases)('%s: %s', (_, state, facts, before) => expect(stateOf(facts, before)).toBe(state));
});

describe('of a server that is still there after its stop, it is', () => {
  const hangs: PostgresFacts = { ...pg.starting(), state: 'unresponsive' };
  const end = (code: string): Partial<Observation> => ({
    ended: [
      { job: { kind: 'restart', role: { kind: 'primary' }, why: 'asked', timeoutMs: null }, ok: false, code, message: 'no', endedAtMs: 1 },
    ],
  });
  it.each<[string, PostgresState, Partial<Observation>, Partial<Memory>]>([
    ['not even SIGKILL has ended it', 'stop failed', { pg: hangs }, { state: 'stopping' }],
    ['… in the rounds after', 'stop failed', { pg: pg.starting() }, { state: 'stop failed' }],
    ['a restart could not stop it', 'stop failed', { pg: hangs, ...end('PG_STOP_FAILED') }, { state: 'restarting' }],
    ['a stop was called off, and goes on', 'starting', { pg: pg.starting(), ...end('PG_STOP_ABORTED') }, { state: 'stopping' }],
    ['it has ended after all', 'stopped', { pg: pg.stopped() }, { state: 'stop failed' }],
    ['it answers again', 'running', { pg: pg.standby() }, { state: 'stop failed' }],
  ])('%s: %s', (_, state, facts, before) => expect(stateOf(facts, before)).toBe(state));
});

it('a server that outlives its stop is not shown as stopping again at each order to stop', () => {
  const hangs: PostgresFacts = { ...pg.primary(), state: 'unresponsive', sql: null };
  const after = (state: PostgresState) => {
    const decision = decide(observation({ view: view({ leaderName: 'b' }), pg: hangs }), memory({ state, role: 'primary' }));
    return [decision.rule, decision.steps.map(({ kind }) => kind), decision.memory.state];
  };
  expect(after('running')).toEqual(['fence.other-leader', ['cancel-job', 'demote-now'], 'stopping']);
  expect(after('stopping')).toEqual(['fence.other-leader', ['cancel-job', 'demote-now'], 'stop failed']);
  expect(after('stop failed')).toEqual(['fence.other-leader', ['cancel-job', 'demote-now'], 'stop failed']);
});

it('a restart that failed is forgotten once PostgreSQL runs', () => {
  const after = remember(observation({ view: view({ leaderName: 'b' }), pg: pg.standby() }), memory(failed('restart')));
  expect(after).toMatchObject({ state: 'running', failures: {} });
});
