/**
 * The messages of the beats. The leader's agent sends every member one, again and again; each
 * answer tells the leader what it must know of a voter.
 */
import type { JsonObject, JsonValue } from '../../support/json.ts';

export interface Beat {
  readonly term: string;
  /** The leader cannot renew its lease, and asks voters to vouch for it. */
  readonly asksToVouch: boolean;
  /** The leader knows that it cannot serve: another should lead (resigning.ts). */
  readonly resigns: boolean;
}

export interface BeatAnswer {
  /** The fence that the member has put up; null: none. */
  readonly fence: string | null;
  readonly leader: { readonly name: string; readonly term: string } | null;
  /** The member vouches for the leader, from the moment it was asked. */
  readonly vouches: boolean;
}

const textOf = (value: JsonValue | undefined): string | null => (typeof value === 'string' && value !== '' ? value : null);
const isRevision = (text: string | null): text is string => text !== null && /^\d{1,19}$/.test(text);

export function beatMessage({ term, asksToVouch, resigns }: Beat): JsonObject {
  return { kind: 'beat', term, ...(asksToVouch && { vouch: true }), ...(resigns && { resigns: true }) };
}

/** Null: it is no beat, or one that nobody understands. */
export function readBeat(message: JsonObject): Beat | null {
  const term = textOf(message['term']);
  if (message['kind'] !== 'beat' || !isRevision(term)) return null;
  return { term, asksToVouch: message['vouch'] === true, resigns: message['resigns'] === true };
}

export function answerMessage({ fence, leader, vouches }: BeatAnswer): JsonObject {
  return {
    ...(fence !== null && { fence }),
    ...(leader !== null && { leader: leader.name, term: leader.term }),
    ...(vouches && { vouches: true }),
  };
}

export function readAnswer(message: JsonObject): BeatAnswer {
  const [name, term] = [textOf(message['leader']), textOf(message['term'])];
  return {
    fence: textOf(message['fence']),
    leader: name !== null && isRevision(term) ? { name, term } : null,
    vouches: message['vouches'] === true,
  };
}
