/** What would make failovers quicker or safer, the most useful first, and what each costs. */
import { beats } from '../quorum/in-force.ts';
import { includes } from '../voters.ts';
import { type AdviceFacts, withoutBeats } from './facts.ts';
import { megabytes, seconds } from './words.ts';

export interface Improvement {
  readonly id: string;
  readonly gain: string;
  readonly cost: string;
  /**
   * The words of `regentctl` to type, without the cluster's name, which comes after the first.
   * Null: something is to be done elsewhere, as `gain` says.
   */
  readonly command: readonly string[] | null;
}

interface ImprovementRow {
  readonly id: string;
  readonly when: (f: AdviceFacts) => boolean;
  readonly gain: (f: AdviceFacts) => string;
  readonly cost: (f: AdviceFacts) => string;
  readonly command: (f: AdviceFacts) => readonly string[] | null;
}

const set = (...changes: readonly string[]): readonly string[] => ['edit-config', ...changes.flatMap((change) => ['-s', change])];
const names = (f: AdviceFacts) =>
  withoutBeats(f)
    .map(({ name }) => name)
    .join(', ');

function absentVoters({ voters, standbys }: AdviceFacts): readonly string[] {
  const present = standbys.map(({ name }) => name);
  return voters.filter((voter) => !includes(present, voter));
}

/** A standby cluster acknowledges nothing, and has no primary that must step down. */
const takesWrites = ({ dynamic }: AdviceFacts): boolean => dynamic.standbyCluster === null;

const leaderAlone = (f: AdviceFacts) =>
  f.leader !== null && !beats(f.leader) && f.standbys.some((member) => beats(member) && f.heirs.includes(member.name));
const successor = (f: AdviceFacts) => f.standbys.find((member) => beats(member) && f.heirs.includes(member.name))?.name ?? '';

/** Patroni takes no ttl below 20. The demo runs with 10. */
const LEAST_TTL = { patroni: 20, regent: 10 } as const;
const shorter = (f: AdviceFacts) => (withoutBeats(f).length > 0 ? LEAST_TTL.patroni : LEAST_TTL.regent);
/** loop_wait + 2 × retry_timeout fill the ttl. */
const timing = (ttl: number) => [`ttl=${ttl}`, `loop_wait=${Math.floor(ttl / 5)}`, `retry_timeout=${Math.floor((ttl * 2) / 5)}`];

export const improvementRows: readonly ImprovementRow[] = [
  {
    id: 'improve.resume',
    when: (f) => f.isPaused,
    gain: () => 'failovers happen by themselves again',
    cost: () => 'what was stopped or changed by hand in the pause is put in order',
    command: () => ['resume'],
  },
  {
    id: 'improve.add-member',
    when: (f) => f.standbys.length === 0,
    gain: () => 'another member can take over: start a second agent (docs/own-hosts.md)',
    cost: () => 'a second copy of the data',
    command: () => null,
  },
  {
    id: 'improve.another-standby',
    when: (f) => f.standbys.length === 1,
    gain: (f) => `with a second standby, the loss of ${f.standbys[0]?.name} leaves somebody who can take over (docs/own-hosts.md)`,
    cost: () => 'a third copy of the data',
    command: () => null,
  },
  {
    id: 'improve.synchronous',
    when: (f) => !f.isSynchronous && f.standbys.length > 0 && takesWrites(f),
    gain: (f) =>
      withoutBeats(f).length === 0
        ? `a failover loses no acknowledged commit (now up to ${megabytes(f.dynamic.maximumLagOnFailoverBytes)} and more), and takes ${seconds(f.suspectAfterSeconds)} instead of ${seconds(f.ttlSeconds)}; etcd’s absence stops no writes`
        : 'a failover loses no acknowledged commit',
    cost: () => 'each commit waits until one standby has it on disk: a round trip and its fsync',
    command: (f) => set(`synchronous_mode=${withoutBeats(f).length === 0 ? 'quorum' : 'on'}`),
  },
  {
    id: 'improve.by-setting',
    when: (f) => f.isSynchronous && f.dynamic.failoverFence === 'lease',
    gain: (f) => `a dead leader is replaced after ${seconds(f.suspectAfterSeconds)} instead of ${seconds(f.ttlSeconds)}`,
    cost: (f) => `an old primary that is cut off may be read for up to ${seconds(f.guardSeconds)} (docs/limits.md)`,
    command: () => set('failover_fence=quorum'),
  },
  {
    id: 'improve.lead-with-beats',
    when: (f) => f.isSynchronous && leaderAlone(f),
    gain: (f) => `the leader is then a Regent that sends beats, as the voters’ promises need (${f.leader?.name} sends none)`,
    cost: () => 'a switchover',
    command: (f) => ['switchover', '--leader', f.leader?.name ?? '', '--candidate', successor(f)],
  },
  {
    id: 'improve.all-beats',
    when: (f) => f.isSynchronous && !f.byPromises && withoutBeats(f).length > 0,
    gain: (f) =>
      `run Regent, in this version, on ${names(f)} (docs/patroni.md): a dead leader is then replaced after ${seconds(f.suspectAfterSeconds)} instead of ${seconds(f.ttlSeconds)}`,
    cost: () => 'a restart of the agent alone',
    command: () => null,
  },
  {
    id: 'improve.absent-voter',
    when: (f) => absentVoters(f).length > 0,
    gain: (f) => {
      const absent = absentVoters(f);
      return absent.length === 1
        ? `start the agent of ${absent[0]}: the synchronous set names it, and etcd has no key of it`
        : `start the agents of ${absent.join(', ')}: the synchronous set names them, and etcd has no keys of them`;
    },
    cost: () => 'nothing',
    command: () => null,
  },
  {
    id: 'improve.voter',
    when: (f) => f.isSynchronous && f.standbys.length > 0 && f.voters.length === 0 && f.view.leader !== null,
    gain: () => 'find out why no standby confirms commits: without one nobody can take over',
    cost: () => 'nothing',
    command: () => ['health'],
  },
  {
    id: 'improve.failsafe',
    when: (f) => !f.byPromises && !f.isPaused && !f.dynamic.failsafeMode && f.standbys.length > 0 && takesWrites(f),
    gain: () => 'the leader goes on while all of etcd is away, as long as all members answer',
    cost: (f) => `a member that has not been seen by the leader cannot take over, nor for ${seconds(f.ttlSeconds)} one that has agreed`,
    command: () => set('failsafe_mode=true'),
  },
  {
    id: 'improve.shorter-lease',
    when: (f) => !f.byPromises && !f.isPaused && f.ttlSeconds > shorter(f),
    gain: (f) => `a dead leader is replaced after ${seconds(shorter(f))} at most instead of ${seconds(f.ttlSeconds)}`,
    cost: () => 'shorter stalls of etcd, network or machine end leadership',
    command: (f) => set(...timing(shorter(f))),
  },
  {
    id: 'improve.quorum-mode',
    when: (f) => f.dynamic.synchronousMode === 'on' && f.standbys.length > 1 && withoutBeats(f).length === 0,
    gain: () => 'commits wait for the fastest standbys, whichever they are: one that dies holds nothing up',
    cost: () => 'nothing',
    command: () => set('synchronous_mode=quorum'),
  },
  {
    id: 'improve.strict',
    when: (f) => f.isSynchronous && !f.dynamic.synchronousModeStrict && f.standbys.length > 1,
    gain: () => 'no commit is acknowledged that is on the leader’s disk alone',
    cost: () => 'writes wait while no standby confirms',
    command: () => set('synchronous_mode_strict=true'),
  },
  {
    id: 'improve.node-count',
    when: (f) => f.dynamic.synchronousMode === 'quorum' && f.dynamic.synchronousNodeCount === 1 && f.standbys.length > 2,
    gain: () => 'no commit is lost if the leader and a standby die at once',
    cost: () => 'each commit waits for two standbys',
    command: () => set('synchronous_node_count=2'),
  },
  {
    id: 'improve.crash',
    when: (f) => f.byPromises && f.dynamic.primaryStartTimeoutSeconds > 0,
    gain: (f) =>
      `a crash of PostgreSQL never takes its recovery’s time, now up to ${seconds(f.dynamic.primaryStartTimeoutSeconds)}, but a promotion’s`,
    cost: () => 'each crash is a failover, also where recovery would have been quicker',
    command: () => set('primary_start_timeout=0'),
  },
];

export const improvements = (facts: AdviceFacts): readonly Improvement[] =>
  improvementRows
    .filter(({ when }) => when(facts))
    .map(({ id, gain, cost, command }) => ({ id, gain: gain(facts), cost: cost(facts), command: command(facts) }));
