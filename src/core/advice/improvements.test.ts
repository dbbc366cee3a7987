import { expect, test } from 'vitest';
import { dynamic, member, view } from '../../../test/support/build.ts';
import { resolveDynamic } from '../../config/dynamic.ts';
import type { ClusterView } from '../cluster.ts';
import type { DynamicSettings } from '../settings.ts';
import { adviceFacts } from './facts.ts';
import { improvementRows, improvements } from './improvements.ts';

const beating = (...names: string[]) => names.map((name) => member(name, { raw: { beats: 1 } }));
const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '6' };
const silent = view({ leaderName: 'a' });
const voting = view({ leaderName: 'a', members: beating('a', 'b', 'c'), sync });
const QUORUM = { synchronousMode: 'quorum' } as const;
const STRICT = { ...QUORUM, synchronousModeStrict: true } as const;
/** Nothing is left to be improved. */
const BEST = { ...STRICT, primaryStartTimeoutSeconds: 0 } as const;

const told = (seen: ClusterView, settings: Partial<DynamicSettings>) =>
  improvements(adviceFacts(seen, dynamic(settings))).map(({ id, command }) => [id, command?.join(' ') ?? null]);

test('of the best settings nothing', () => {
  expect(told(voting, BEST)).toEqual([]);
});

test('a standby cluster is not told to confirm or to step down', () => {
  const { dynamic: followed } = resolveDynamic({ standby_cluster: { host: 'h' }, ttl: 20 });
  const ids = improvements(adviceFacts(voting, followed)).map(({ id }) => id);
  expect(ids).not.toContain('improve.synchronous');
  expect(ids).not.toContain('improve.failsafe');
});

type Case = readonly [id: string, ClusterView, Partial<DynamicSettings>, command: string | null];

const cases: readonly Case[] = [
  ['improve.resume', voting, { ...BEST, pause: true }, 'resume'],
  ['improve.add-member', view({ leaderName: 'a', members: beating('a') }), {}, null],
  ['improve.another-standby', view({ leaderName: 'a', members: beating('a', 'b') }), {}, null],
  ['improve.synchronous', voting, {}, 'edit-config -s synchronous_mode=quorum'],
  ['improve.by-setting', voting, { ...BEST, failoverFence: 'lease' }, 'edit-config -s failover_fence=quorum'],
  ['improve.lead-with-beats', { ...voting, members: [member('a'), ...beating('b', 'c')] }, BEST, 'switchover --leader a --candidate b'],
  ['improve.all-beats', { ...voting, members: [...beating('a', 'b'), member('c')] }, BEST, null],
  ['improve.absent-voter', { ...voting, members: beating('a', 'b') }, BEST, null],
  ['improve.voter', { ...voting, sync: { ...sync, quorum: 0, standbys: [] } }, BEST, 'health'],
  ['improve.failsafe', voting, {}, 'edit-config -s failsafe_mode=true'],
  ['improve.shorter-lease', voting, {}, 'edit-config -s ttl=10 -s loop_wait=2 -s retry_timeout=4'],
  ['improve.quorum-mode', voting, { ...BEST, synchronousMode: 'on' }, 'edit-config -s synchronous_mode=quorum'],
  ['improve.strict', voting, QUORUM, 'edit-config -s synchronous_mode_strict=true'],
  ['improve.node-count', { ...voting, members: beating('a', 'b', 'c', 'd') }, BEST, 'edit-config -s synchronous_node_count=2'],
  ['improve.crash', voting, STRICT, 'edit-config -s primary_start_timeout=0'],
];

test.each(cases)('%s', (id, seen, settings, command) => {
  expect(told(seen, settings)).toContainEqual([id, command]);
});

test('each row has a case, and what it says is a whole sentence', () => {
  expect(cases.map(([id]) => id)).toEqual(improvementRows.map(({ id }) => id));
  for (const [id, seen, settings] of cases) {
    const one = improvements(adviceFacts(seen, dynamic(settings))).find((each) => each.id === id);
    expect(`${one?.gain}${one?.cost}`).not.toMatch(/undefined|null|\(\)| {2}/);
  }
});

test('where Patroni runs too, only what it takes', () => {
  expect(told(silent, {})).toEqual([
    ['improve.synchronous', 'edit-config -s synchronous_mode=on'],
    ['improve.failsafe', 'edit-config -s failsafe_mode=true'],
    ['improve.shorter-lease', 'edit-config -s ttl=20 -s loop_wait=4 -s retry_timeout=8'],
  ]);
});

test('the settings it names are taken as they are', () => {
  for (const ttl of [10, 20]) {
    const raw = { ttl, loop_wait: ttl / 5, retry_timeout: (ttl * 2) / 5 };
    expect(resolveDynamic(raw).dynamic).toMatchObject({ ttlSeconds: ttl, loopWaitSeconds: ttl / 5, retryTimeoutSeconds: (ttl * 2) / 5 });
  }
});
