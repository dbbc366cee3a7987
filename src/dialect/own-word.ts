/**
 * Where GET /patroni says what a member is judged by. Each fact has one line here, by which the
 * member writes it and its peers read it.
 */
import type { OwnWord } from '../core/peer-facts.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';

/** body: the answer itself. wal, regent: the objects of these names in it. */
type Place = 'body' | 'wal' | 'regent';

interface Word<Fact extends keyof OwnWord = keyof OwnWord> {
  readonly fact: Fact;
  readonly place: Place;
  readonly name: string;
  /** Said only while nobody leads: before that it is plain, or of no use. */
  readonly race?: true;
}

const FLAGS: readonly Word<'watchdogFailed' | 'replaying' | 'restored' | 'strayed' | 'attached' | 'keepsOut'>[] = [
  { fact: 'watchdogFailed', place: 'body', name: 'watchdog_failed' },
  { fact: 'replaying', place: 'wal', name: 'replaying' },
  { fact: 'restored', place: 'wal', name: 'restored' },
  { fact: 'strayed', place: 'wal', name: 'strayed' },
  { fact: 'keepsOut', place: 'regent', name: 'keeps_out_of_race' },
  { fact: 'attached', place: 'wal', name: 'attached', race: true },
];

const TEXTS: readonly Word<
  'promotionTrouble' | 'steppedDown' | 'timelineFingerprint' | 'missesTerm' | 'refusedTerm' | 'fence' | 'vouchesFor' | 'failsafe'
>[] = [
  { fact: 'promotionTrouble', place: 'body', name: 'promotion_trouble' },
  { fact: 'steppedDown', place: 'regent', name: 'stepped_down' },
  { fact: 'missesTerm', place: 'regent', name: 'misses_leader_of_term' },
  { fact: 'refusedTerm', place: 'regent', name: 'refused_by_leader_of_term' },
  { fact: 'fence', place: 'regent', name: 'fence' },
  { fact: 'vouchesFor', place: 'regent', name: 'vouches_for' },
  { fact: 'failsafe', place: 'regent', name: 'failsafe' },
  { fact: 'timelineFingerprint', place: 'wal', name: 'timeline_beginning', race: true },
];

/** What goes to one place of the answer, without what does not hold or is not known. */
export function sayOwnWord(word: Partial<OwnWord>, place: Place, clusterUnlocked: boolean): JsonObject {
  const said: JsonObject = {};
  for (const { fact, name, place: here, race } of [...FLAGS, ...TEXTS]) {
    const value = word[fact];
    if (here === place && value && (clusterUnlocked || race === undefined)) said[name] = value;
  }
  return said;
}

/** The same read from an answer; `places` are the objects found in it. */
export function readOwnWord(places: Readonly<Record<Place, JsonObject>>): OwnWord {
  const word: { -readonly [Fact in keyof OwnWord]: OwnWord[Fact] } = { watchdogFailed: false };
  for (const { fact, name, place } of FLAGS) if (places[place][name] === true) word[fact] = true;
  for (const { fact, name, place } of TEXTS) if (isText(places[place][name])) word[fact] = places[place][name];
  return word;
}

const isText = (value: JsonValue | undefined): value is string => typeof value === 'string' && value !== '';
