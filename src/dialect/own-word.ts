/**
 * How GET /patroni says what a member is judged by. Each fact has one line here, by which the
 * member writes it and its peers read it.
 */
import type { OwnWord } from '../core/peer-facts.ts';
import { isJsonObject } from '../support/big-json.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';

interface Word<Fact extends keyof OwnWord = keyof OwnWord> {
  readonly fact: Fact;
  readonly name: string;
  /** Said only while nobody leads: before that it is plain, or of no use. */
  readonly race?: true;
  /** Said only by a standby that answers: it is about the positions in the same answer. */
  readonly wal?: true;
}

/** Patroni has this one too, so it stands beside `regent`. */
const WATCHDOG = 'watchdog_failed';

const FLAGS: readonly Word<'replaying' | 'restored' | 'strayed' | 'attached' | 'keepsOut'>[] = [
  { fact: 'replaying', name: 'replaying', wal: true },
  { fact: 'restored', name: 'restored', wal: true },
  { fact: 'strayed', name: 'strayed', wal: true },
  { fact: 'keepsOut', name: 'keeps_out_of_race' },
  { fact: 'attached', name: 'attached', wal: true, race: true },
];

const TEXTS: readonly Word<
  'promotionTrouble' | 'steppedDown' | 'timelineFingerprint' | 'missesTerm' | 'refusedTerm' | 'fence' | 'vouchesFor' | 'failsafe'
>[] = [
  { fact: 'promotionTrouble', name: 'promotion_trouble' },
  { fact: 'steppedDown', name: 'stepped_down' },
  { fact: 'missesTerm', name: 'misses_leader_of_term' },
  { fact: 'refusedTerm', name: 'refused_by_leader_of_term' },
  { fact: 'fence', name: 'fence' },
  { fact: 'vouchesFor', name: 'vouches_for' },
  { fact: 'failsafe', name: 'failsafe' },
  { fact: 'timelineFingerprint', name: 'timeline_beginning', wal: true, race: true },
];

/** What goes into `regent`, without what does not hold or is not known. */
export function sayOwnWord(word: Partial<OwnWord>, as: { readonly clusterUnlocked: boolean; readonly isStandby: boolean }): JsonObject {
  const said: JsonObject = {};
  for (const { fact, name, race, wal } of [...FLAGS, ...TEXTS]) {
    const value = word[fact];
    if (value && (as.clusterUnlocked || race === undefined) && (as.isStandby || wal === undefined)) said[name] = value;
  }
  return said;
}

/** What goes beside `regent`. */
export const sayWatchdog = ({ watchdogFailed }: Partial<OwnWord>): JsonObject => (watchdogFailed ? { [WATCHDOG]: true } : {});

/** The same read from the body of an answer. */
export function readOwnWord(body: JsonObject): OwnWord {
  const told = ownFacts(body);
  const word: { -readonly [Fact in keyof OwnWord]: OwnWord[Fact] } = { watchdogFailed: body[WATCHDOG] === true };
  for (const { fact, name } of FLAGS) if (told[name] === true) word[fact] = true;
  for (const { fact, name } of TEXTS) if (isText(told[name])) word[fact] = told[name];
  return word;
}

/**
 * Regent's own facts in the body of GET /patroni: one object, `regent`. An older Regent says some
 * of them beside it, or with its positions.
 */
export function ownFacts(body: JsonObject): JsonObject {
  const [xlog, wal, regent] = ['xlog', 'wal', 'regent'].map((name) => body[name]).map((value) => (isJsonObject(value) ? value : {}));
  return { ...body, ...xlog, ...wal, ...regent };
}

const isText = (value: JsonValue | undefined): value is string => typeof value === 'string' && value !== '';
