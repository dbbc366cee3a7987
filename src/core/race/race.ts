/**
 * Who may be promoted when nobody leads, and why each other may not. Every agent decides for itself
 * only: may I take the key? Of those that may, etcd lets one create the key. The tables make sure
 * that whoever wins loses no acknowledged commit that the policy in force promises to keep.
 *
 * Three tables in order: entry.ts (may this node try at all), peers.ts (what each other member has)
 * and votes.ts (is that enough).
 */

import { invariant } from '../../support/assert.ts';
import type { Context } from '../context.ts';
import { type Answer, answerOf, type DrawnTable, firstAnswer, onlyAnswer } from '../decision-table.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { entryRows, notAsked } from './entry.ts';
import { isVoter, type RaceFacts, type RaceVerdict, raceFacts } from './facts.ts';
import { type Comparison, compareWith, peerRows } from './peers.ts';
import { countVotes, voteRows } from './votes.ts';

export function raceVerdict(c: Context): Answer<RaceVerdict> {
  const facts = raceFacts(c);
  if (facts === null) return answerOf(notAsked, c);
  const entry = firstAnswer(entryRows, facts);
  if (entry !== null) return entry;
  const { own } = facts;
  invariant(own !== null, 'a standby without a WAL position entered the race');
  const compared = new Map<PeerFacts, Comparison>();
  const f = { ...facts, own };
  for (const peer of rivals(f)) {
    const answer = compareWith(f, peer);
    if (answer.verdict === 'beats') return { ...answer, verdict: 'leave' };
    compared.set(peer, answer.verdict);
  }
  return onlyAnswer(voteRows, countVotes(f, compared));
}

/** Why the key is left: first the words that people search the log for. */
export function leavesKey({ id, because }: Pick<Answer<RaceVerdict>, 'id' | 'because'>): string {
  if (id === 'race.backoff') return because;
  const refusal = id === 'race.nofailover' ? 'I am not allowed to promote' : 'i am not the healthiest node';
  return `following a different leader because ${refusal}: ${because}`;
}

/** The members that answered, in mode on those that /sync names. */
function rivals(f: RaceFacts): PeerFacts[] {
  const { c, view, peers, voters } = f;
  const onlyVoters = c.o.settings.dynamic.synchronousMode === 'on' && voters !== null;
  const names = view.members.map(({ name }) => name).filter((name) => name !== c.me && (!onlyVoters || isVoter(f, name)));
  return names.flatMap((name) => peers.get(name) ?? []);
}

export const raceTables: readonly DrawnTable[] = [
  { title: 'The race: may this node enter', situation: 'nobody leads, and a standby runs here', rows: [notAsked, ...entryRows] },
  { title: 'The race: what another member has', situation: 'this node may enter; for each member that answers', rows: peerRows },
  { title: 'The race: is it enough', situation: 'no member beats this node', rows: voteRows },
];
