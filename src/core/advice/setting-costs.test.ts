import { expect, test } from 'vitest';
import { dynamic, member, view } from '../../../test/support/build.ts';
import type { DynamicSettings } from '../settings.ts';
import { adviceFacts } from './facts.ts';
import { settingCosts } from './setting-costs.ts';

const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '6' };
const voting = view({ leaderName: 'a', members: ['a', 'b', 'c'].map((name) => member(name, { raw: { beats: 1 } })), sync });

function cost(setting: string, settings: Partial<DynamicSettings>): readonly (string | undefined)[] {
  const told = settingCosts(adviceFacts(voting, dynamic(settings))).find((each) => each.setting === setting);
  return [told?.value, told?.cost];
}

const QUORUM = { synchronousMode: 'quorum' } as const;

test.each([
  ['synchronous_mode', {}, 'off', 'may lose acknowledged commits'],
  ['synchronous_mode', { synchronousMode: 'on' }, 'on', 'each named standby'],
  ['synchronous_mode', QUORUM, 'quorum', 'the fastest standbys'],
  ['synchronous_node_count', {}, '1', 'no effect'],
  ['synchronous_node_count', { ...QUORUM, synchronousNodeCount: 2 }, '2', 'on 3 nodes'],
  ['synchronous_mode_strict', {}, 'false', 'no effect'],
  ['synchronous_mode_strict', QUORUM, 'false', 'nobody takes over'],
  ['synchronous_mode_strict', { ...QUORUM, synchronousModeStrict: true }, 'true', 'writes wait'],
  ['failover_fence', {}, 'quorum', 'no effect'],
  ['failover_fence', { ...QUORUM, failoverFence: 'lease' }, 'lease', 'up to 30 s'],
  ['failover_fence', { ...QUORUM, pause: true }, 'quorum', 'no effect now: the cluster is paused'],
  ['failover_fence', QUORUM, 'quorum', 'may be read until it stops, up to 27 s'],
  ['failover_on_refusal', QUORUM, 'false', 'no effect'],
  ['failover_on_refusal', {}, 'false', 'replaced when its lease ends, up to 30 s'],
  ['failover_on_refusal', { failoverOnRefusal: true }, 'true', 'makes two primaries, for up to 24 s'],
  ['suspect_after', {}, '1 s', 'no effect'],
  ['suspect_after', { ...QUORUM, suspectAfterMs: 500 }, '0.5 s', 'silent for so long'],
  ['ttl', {}, '30 s', 'stalls for 14 s or more; so long'],
  ['ttl', QUORUM, '30 s', 'stalls for 22 s or more and the voters do not vouch'],
  ['primary_start_timeout', {}, '300 s', 'may recover for so long'],
  ['primary_start_timeout', { primaryStartTimeoutSeconds: 0 }, '0 s', 'each crash of PostgreSQL is a failover'],
  ['maximum_lag_on_failover', {}, '1 MB', 'may lose'],
  ['maximum_lag_on_failover', { ...QUORUM, maximumLagOnFailoverBytes: 1000 }, '1000 bytes', 'no effect on a failover'],
] as const)('%s %j', (setting, settings, value, text) => {
  expect(cost(setting, settings)).toEqual([value, expect.stringContaining(text)]);
});
