import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { OwnWord } from '../core/peer-facts.ts';
import { readOwnWord, sayOwnWord } from './own-word.ts';

const text = fc.string({ minLength: 1 });
const flag = fc.constant(true);
/** Every fact of OwnWord: a new one that has no line of its own in the table fails here. */
const word: fc.Arbitrary<Required<OwnWord>> = fc.record({
  watchdogFailed: flag,
  promotionTrouble: text,
  steppedDown: text,
  replaying: flag,
  restored: flag,
  strayed: flag,
  attached: flag,
  timelineFingerprint: text,
  keepsOut: flag,
  missesTerm: text,
  refusedTerm: text,
  fence: text,
  vouchesFor: text,
  failsafe: text,
});

const said = (told: Partial<OwnWord>, clusterUnlocked: boolean) => ({
  body: sayOwnWord(told, 'body', clusterUnlocked),
  wal: sayOwnWord(told, 'wal', clusterUnlocked),
  regent: sayOwnWord(told, 'regent', clusterUnlocked),
});

it('reads every fact as it was published, while no member leads', () => {
  fc.assert(
    fc.property(word, (told) => {
      expect(readOwnWord(said(told, true))).toEqual(told);
    }),
  );
});

it('leaves out facts that count only in a race while a member leads', () => {
  fc.assert(
    fc.property(word, (told) => {
      const { attached, timelineFingerprint, ...rest } = told;
      expect(readOwnWord(said(told, false))).toEqual(rest);
    }),
  );
});

it('leaves out facts that do not hold or are not known', () => {
  expect(said({ watchdogFailed: false, strayed: false, attached: false }, true)).toEqual({ body: {}, wal: {}, regent: {} });
});

it('takes only true as true, and no empty or foreign value as a text', () => {
  const wal = { restored: 1, strayed: 'yes', attached: false, timeline_beginning: 7 };
  expect(readOwnWord({ body: { promotion_trouble: '', watchdog_failed: 'true' }, wal, regent: { stepped_down: null } })).toEqual({
    watchdogFailed: false,
  });
});
