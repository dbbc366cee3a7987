/**
 * Which fence stands between an old primary and its successor: the lease, or the voters' promises.
 * By promises a successor need not wait for the lease (docs/SPEC.md, "Two fences").
 */
import { type ClusterView, type Member, memberOf, sameName } from '../cluster.ts';
import { type Answer, type DrawnTable, firstAnswer, type Row } from '../decision-table.ts';
import type { DynamicSettings } from '../settings.ts';
import { type FenceMark, fenceFor } from './fence-mark.ts';
import { perView } from './per-view.ts';

/** By the promises of voters. */
export interface QuorumFence extends FenceMark {
  readonly kind: 'quorum';
  /** The standbys that /sync names. */
  readonly voters: readonly string[];
  /** So many of them confirm each commit. */
  readonly count: number;
  /** With the promises of so many, the old primary cannot acknowledge another commit. */
  readonly needed: number;
}

export interface LeaseFence {
  readonly kind: 'lease';
  /** Why it is not the better one. */
  readonly answer: Answer<'lease'>;
}

/** Version of the beats that a member key announces, and that this program speaks. */
export const BEATS = 1;

export const beats = (member: Member | null): boolean => member !== null && member.raw['beats'] === BEATS;

interface Facts {
  readonly view: ClusterView;
  readonly dynamic: Pick<DynamicSettings, 'failoverFence' | 'pause' | 'synchronousMode'>;
}

const voters = ({ view }: Facts): readonly string[] => view.sync?.standbys ?? [];
const findMember = ({ view }: Facts, name: string) => view.members.find((member) => sameName(member.name, name)) ?? null;
const mute = (f: Facts) => voters(f).filter((name) => !beats(findMember(f, name)));

export const leaseRows: readonly Row<Facts, 'lease'>[] = [
  {
    id: 'lease.asynchronous',
    situation: 'synchronous_mode is off: no standby has to confirm a commit',
    when: ({ dynamic }) => dynamic.synchronousMode === 'off',
    verdict: 'lease',
    because: () => 'synchronous_mode is off, so the old primary could go on acknowledging commits',
  },
  {
    id: 'lease.by-setting',
    situation: 'failover_fence is lease',
    when: ({ dynamic }) => dynamic.failoverFence === 'lease',
    verdict: 'lease',
    because: () => 'failover_fence is set to lease',
  },
  {
    id: 'lease.paused',
    situation: 'the cluster is paused',
    when: ({ dynamic }) => dynamic.pause,
    verdict: 'lease',
    because: () => 'the cluster is paused',
  },
  {
    id: 'lease.nobody-leads',
    situation: 'nobody holds the leader key, or /sync is not the leader’s own yet',
    when: ({ view }) => view.leader === null || view.sync?.leader == null || !sameName(view.sync.leader, view.leader.name),
    verdict: 'lease',
    because: ({ view }) => (view.leader === null ? 'nobody leads' : `${view.leader.name} has not taken over the synchronous set yet`),
  },
  {
    id: 'lease.no-voter',
    situation: '/sync names no standby, or commits wait for none of them',
    when: (f) => voters(f).length === 0 || voters(f).length <= (f.view.sync?.quorum ?? 0),
    verdict: 'lease',
    because: () => 'no standby has to confirm a commit now',
  },
  {
    id: 'lease.leader-without-beats',
    situation: 'the leader sends no beats: it runs Patroni, or an older Regent',
    when: ({ view }) => view.leader === null || !beats(memberOf(view, view.leader.name)),
    verdict: 'lease',
    because: ({ view }) => `${view.leader?.name} sends no beats: it runs Patroni, or an older Regent`,
  },
  {
    id: 'lease.voter-without-beats',
    situation: 'a standby of the synchronous set hears no beats: it runs Patroni, or an older Regent, or its member key is gone',
    when: (f) => mute(f).length > 0,
    verdict: 'lease',
    because: (f) => {
      const [who, what] = [mute(f), 'Patroni, or an older Regent'];
      return who.length === 1
        ? `${who[0]} hears no beats: it runs ${what}, or its member key is gone`
        : `${who.join(', ')} hear no beats: they run ${what}, or their member keys are gone`;
    },
  },
];

export const leaseTable: DrawnTable = {
  title: 'Which fence is in force',
  situation: 'always; where no row applies, the promises of the voters',
  rows: leaseRows,
};

export function fenceInForce(view: ClusterView, dynamic: Facts['dynamic']): QuorumFence | LeaseFence {
  const answer = firstAnswer(leaseRows, { view, dynamic });
  const mark = fenceFor(view);
  if (answer !== null || mark === null || view.sync === null) {
    return { kind: 'lease', answer: answer ?? { id: 'lease.nobody-leads', verdict: 'lease', because: 'nobody leads' } };
  }
  const { standbys, quorum } = view.sync;
  return { kind: 'quorum', ...mark, voters: standbys, count: standbys.length - quorum, needed: quorum + 1 };
}

const fenceOf = perView((view: ClusterView, dynamic: Facts['dynamic']): QuorumFence | null => {
  const fence = fenceInForce(view, dynamic);
  return fence.kind === 'quorum' ? fence : null;
});

/** Null: the lease decides. */
export const quorumFence = (view: ClusterView | null, dynamic: Facts['dynamic']): QuorumFence | null =>
  view === null ? null : fenceOf(view, dynamic);
