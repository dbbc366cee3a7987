import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson, stringifyCompact } from '../../support/big-json.ts';
import type { JsonObject } from '../../support/json.ts';
import { answerMessage, beatMessage, readAnswer, readBeat } from './beat.ts';

const revision = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String);
const sent = (message: JsonObject) => parseJson(stringifyCompact(message)) as JsonObject;

describe('a beat', () => {
  it('arrives as it was sent, with revisions beyond 2^53', () => {
    fc.assert(
      fc.property(fc.record({ term: revision, asksToVouch: fc.boolean(), resigns: fc.boolean() }), (beat) => {
        expect(readBeat(sent(beatMessage(beat)))).toEqual(beat);
      }),
    );
  });

  it('costs few bytes where nobody has to vouch', () => {
    expect(stringifyCompact(beatMessage({ term: '5', asksToVouch: false, resigns: false }))).toBe('{"kind":"beat","term":"5"}');
  });

  it.each<[string, JsonObject]>([
    ['of another kind', { kind: 'etcd', term: '5' }],
    ['without a term', { kind: 'beat' }],
    ['whose term is a number', { kind: 'beat', term: 5 }],
    ['whose term is no revision', { kind: 'beat', term: '-5' }],
    ['whose term no etcd counts to', { kind: 'beat', term: '1'.repeat(20) }],
  ])('is none %s', (_what, message) => {
    expect(readBeat(message)).toBeNull();
  });

  it('asks to vouch, and resigns, only by the word true', () => {
    const plain = { term: '5', asksToVouch: false, resigns: false };
    expect(readBeat({ kind: 'beat', term: '5', vouch: 'true', resigns: 1 })).toEqual(plain);
  });
});

describe('an answer', () => {
  const answer = fc.record({
    fence: fc.option(fc.tuple(revision, revision).map(([term, sync]) => `${term}/${sync}`)),
    leader: fc.option(fc.record({ name: fc.string({ minLength: 1 }), term: revision })),
    vouches: fc.boolean(),
  });

  it('arrives as it was sent', () => {
    fc.assert(
      fc.property(answer, (told) => {
        expect(readAnswer(sent(answerMessage(told)))).toEqual(told);
      }),
    );
  });

  it('says nothing where it is empty or not understood', () => {
    const nothing = { fence: null, leader: null, vouches: false };
    expect(readAnswer({})).toEqual(nothing);
    expect(readAnswer({ fence: 5, leader: 'b', term: 'soon', vouches: 1 })).toEqual(nothing);
    expect(readAnswer({ fence: '', leader: '', term: '5' })).toEqual(nothing);
    expect(readAnswer({ term: '5' })).toEqual(nothing);
  });
});
