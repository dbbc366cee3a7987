/**
 * Nobody leads: what an election waits for, and what it may cost to name the next leader instead.
 * By etcd's keys, and by which members answer. The race itself (core/race/) knows more.
 */
import { agreeing } from '../../support/plural.ts';
import { type ClusterView, type Member, mayLead, memberOf, sameName } from '../cluster.ts';
import { type DynamicSettings, roundIntervalMs } from '../settings.ts';
import { formatLsn, type Lsn, lagBytes } from '../units.ts';
import { includes, syncVoters } from '../voters.ts';
import { megabytes, seconds } from './words.ts';

export interface Election {
  readonly view: ClusterView;
  readonly dynamic: DynamicSettings;
  /** The members that are there. */
  readonly there: readonly Member[];
  /** The last leader and the standbys that /sync names. Empty: commits waited for nobody. */
  readonly voters: readonly string[];
  /** Among so many of the voters is every acknowledged commit. */
  readonly needed: number;
  /** Voters that are not there. */
  readonly away: readonly string[];
  readonly canBeWon: boolean;
}

export function electionOf(view: ClusterView, dynamic: DynamicSettings, isThere: (member: Member) => boolean): Election {
  const there = view.members.filter(isThere);
  const names = there.map(({ name }) => name);
  const voters = (dynamic.standbyCluster === null ? syncVoters(view, dynamic.synchronousMode) : null) ?? [];
  const needed = voters.length === 0 ? 0 : (view.sync?.quorum ?? 0) + 1;
  const away = voters.filter((voter) => !includes(names, voter));
  const byNames = dynamic.synchronousMode === 'on' && needed === 1;
  const able = there.filter(({ name, tags }) => mayLead(tags) && (!byNames || includes(voters, name)));
  const enough = lacking({ voters, needed, away }) <= 0 || able.some(({ name }) => ledLast(view, name));
  return { view, dynamic, there, voters, needed, away, canBeWon: able.length > 0 && enough };
}

/** How many voters are too few there to have every acknowledged commit; 0 or less: none. */
const lacking = ({ voters, needed, away }: Pick<Election, 'voters' | 'needed' | 'away'>): number => needed - (voters.length - away.length);

const ledLast = ({ sync }: ClusterView, name: string): boolean => sync?.leader != null && sameName(sync.leader, name);

/** Why nobody is elected; null: an election is under way. */
export function electionHindrance(e: Election): string | null {
  if (e.dynamic.pause) return 'the cluster is paused, so nobody is elected';
  if (e.canBeWon) return null;
  const [led, ...standbys] = e.voters;
  if (led === undefined) return 'nobody can be elected: no member that may lead is there';
  if (lacking(e) <= 0) return 'nobody can be elected: no member that is there may lead';
  const voting = e.voters.filter((voter) => !includes(e.away, voter));
  const rest = e.needed >= standbys.length ? standbys.join(' and ') : `${e.needed} of ${standbys.join(', ')}`;
  const wanted = standbys.length === 0 ? led : `${led}, or ${rest},`;
  return (
    `nobody can be elected: only ${wanted} surely ${standbys.length === 0 ? 'has' : 'have'} every acknowledged commit, and of these ` +
    `${voting.length === 0 ? 'none is' : `only ${agreeing(voting, 'is', 'are')}`} there`
  );
}

/** How to have a leader without a loss; null: nothing is known to help. */
export const electionMend = (e: Election): string | null => {
  const { away, canBeWon } = e;
  const count = lacking(e);
  if (canBeWon || count <= 0) return null;
  return `start ${away.length === 1 ? away[0] : `${count === 1 ? 'one' : count} of ${away.join(', ')}`}: then a leader is elected, and nothing is lost`;
};

/**
 * What may be lost if this member is made leader by name while nobody leads, and how that is known.
 * Empty: nothing acknowledged, as far as etcd and the members tell.
 */
export function costOfNaming(e: Election, candidate: string): readonly string[] {
  const { view, voters } = e;
  if (ledLast(view, candidate) || e.dynamic.standbyCluster !== null) return [];
  const isSure = voters.length > 0 && lacking(e) <= 0;
  const { known, isBehind } = positionOf(e, candidate, isSure);
  if (isSure && !isBehind) return [];
  const mend =
    e.canBeWon && voters.length > 0 ? `${e.dynamic.pause ? 'end the pause and ' : ''}let the members elect a leader` : electionMend(e);
  return [
    `acknowledged commits may be lost: ${whyLost(e, candidate, isSure)}`,
    known,
    ...(mend === null ? [] : [`to lose nothing, ${mend}`]),
  ];
}

function whyLost({ voters, away, needed }: Election, candidate: string, isSure: boolean): string {
  if (voters.length === 0) return `synchronous_mode is off, so ${candidate} need not have received what the last leader acknowledged`;
  if (isSure) return `${candidate} is behind another member`;
  const standbys = voters.slice(1);
  const copies = standbys.length - (needed - 1);
  return copies <= 0
    ? `the last leader, ${voters[0]}, waited for no standby, and it is not there`
    : `each is on ${voters[0]} and on ${copies} of ${standbys.join(', ')}, of which ${agreeing(away, 'is', 'are')} not there`;
}

/**
 * By WAL positions: the candidate's, and the furthest that any other or the last leader told. Where
 * the members that are there have every acknowledged commit, the leader's does not matter.
 */
function positionOf(
  { view, dynamic, there }: Election,
  candidate: string,
  isSure: boolean,
): { readonly known: string; readonly isBehind: boolean } {
  const own = memberOf(view, candidate)?.lsn ?? null;
  const told: readonly (readonly [Lsn | null, string])[] = [
    [isSure ? null : (view.status?.optime ?? null), 'the last leader told'],
    ...there.filter(({ name }) => name !== candidate).map(({ name, lsn }) => [lsn, `${name} has`] as const),
  ];
  const furthest = told.reduce<readonly [Lsn, string] | null>(
    (best, [lsn, who]) => (lsn !== null && (best === null || lsn > best[0]) ? [lsn, who] : best),
    null,
  );
  if (own === null || furthest === null) return { known: `how much WAL ${candidate} lacks is not known`, isBehind: true };
  const [lsn, who] = furthest;
  const has = `${candidate} has WAL up to ${formatLsn(own)}`;
  const later = `what the last leader wrote after it last told its position (every ${seconds(roundIntervalMs(dynamic, true) / 1000)}) is not known`;
  const behind = lagBytes(lsn, own);
  return behind > 0
    ? { known: `${has}; ${who} WAL up to ${formatLsn(lsn)}, ${megabytes(behind)} more${isSure ? '' : `; ${later}`}`, isBehind: true }
    : { known: `${has}, and nobody told a later position; ${later}`, isBehind: false };
}
