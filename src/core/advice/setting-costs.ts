/** What each setting that decides over a failover costs, at its present value. */
import type { AdviceFacts } from './facts.ts';
import { megabytes, seconds } from './words.ts';

export interface SettingCost {
  readonly setting: string;
  readonly value: string;
  readonly cost: string;
}

interface SettingRow {
  readonly setting: string;
  readonly value: (f: AdviceFacts) => string;
  readonly cost: (f: AdviceFacts) => string;
}

export const settingRows: readonly SettingRow[] = [
  {
    setting: 'synchronous_mode',
    value: ({ dynamic }) => dynamic.synchronousMode,
    cost: (f) =>
      ({
        off: 'a failover may lose acknowledged commits; commits wait for nobody',
        on: 'each commit waits until each named standby has it on disk; one that dies holds commits up until the next round',
        quorum: 'each commit waits until the fastest standbys have it on disk',
      })[f.dynamic.synchronousMode],
  },
  {
    setting: 'synchronous_node_count',
    value: ({ dynamic }) => String(dynamic.synchronousNodeCount),
    cost: ({ dynamic: { synchronousMode, synchronousNodeCount: count } }) =>
      synchronousMode === 'off'
        ? 'no effect while synchronous_mode is off'
        : `commits are on ${count + 1} nodes, if enough standbys are there: safe while not all of these are lost at once`,
  },
  {
    setting: 'synchronous_mode_strict',
    value: ({ dynamic }) => String(dynamic.synchronousModeStrict),
    cost: ({ dynamic: { synchronousMode, synchronousModeStrict } }) => {
      if (synchronousMode === 'off') return 'no effect while synchronous_mode is off';
      return synchronousModeStrict
        ? 'without a standby that confirms, writes wait'
        : 'without a standby that confirms, commits are on the leader alone, and nobody takes over from it';
    },
  },
  {
    setting: 'failover_fence',
    value: ({ dynamic }) => dynamic.failoverFence,
    cost: (f) => {
      if (!f.isSynchronous) return 'no effect while synchronous_mode is off: the lease decides';
      if (f.dynamic.failoverFence === 'lease') return `a dead leader is replaced only when its lease ends, up to ${seconds(f.ttlSeconds)}`;
      return f.fence.kind === 'lease'
        ? `no effect now: ${f.fence.answer.because}`
        : `an old primary that is cut off may be read until it stops, up to ${seconds(f.guardSeconds)}; nothing it takes is acknowledged`;
    },
  },
  {
    setting: 'failover_on_refusal',
    value: ({ dynamic }) => String(dynamic.failoverOnRefusal),
    cost: (f) => {
      if (f.isSynchronous) return 'no effect while synchronous_mode is not off';
      if (!f.dynamic.failoverOnRefusal)
        return `a leader whose processes are gone is replaced when its lease ends, up to ${seconds(f.ttlSeconds)}`;
      return `a firewall or proxy that refuses connections in the place of a living leader makes two primaries, for up to ${seconds(f.stepDownSeconds)}`;
    },
  },
  {
    setting: 'suspect_after',
    value: (f) => seconds(f.suspectAfterSeconds),
    cost: (f) =>
      f.byPromises
        ? 'a leader is replaced if it and its PostgreSQL are silent for so long, also where it would have come back'
        : 'no effect while the lease decides over a failover',
  },
  {
    setting: 'ttl',
    value: (f) => seconds(f.ttlSeconds),
    cost: (f) => {
      const stalls = `leadership ends if etcd or the machine stalls for ${seconds(f.stepDownSeconds - f.renewalSeconds)} or more`;
      return f.byPromises ? `${stalls} and the voters do not vouch` : `${stalls}; so long, at most, nobody leads after a leader’s death`;
    },
  },
  {
    setting: 'primary_start_timeout',
    value: ({ dynamic }) => seconds(dynamic.primaryStartTimeoutSeconds),
    cost: ({ dynamic }) =>
      dynamic.primaryStartTimeoutSeconds === 0
        ? 'each crash of PostgreSQL is a failover, and a standby is missing until the old primary is back'
        : 'a crashed primary may recover for so long before another takes over',
  },
  {
    setting: 'maximum_lag_on_failover',
    value: ({ dynamic }) => megabytes(dynamic.maximumLagOnFailoverBytes),
    cost: (f) =>
      f.isSynchronous
        ? 'no effect on a failover: a standby that /sync names, or that has enough votes, has all that was acknowledged; a switchover to one further behind is refused'
        : 'so much WAL a failover may lose; if all standbys are further behind, nobody takes over',
  },
];

export const settingCosts = (facts: AdviceFacts): readonly SettingCost[] =>
  settingRows.map(({ setting, value, cost }) => ({ setting, value: value(facts), cost: cost(facts) }));
