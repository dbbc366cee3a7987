import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { OwnWord } from '../core/peer-facts.ts';
import { readOwnWord, sayOwnWord, sayWatchdog } from './own-word.ts';

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

const body = (told: Partial<OwnWord>, clusterUnlocked = true, isStandby = true) => ({
  ...sayWatchdog(told),
  regent: sayOwnWord(told, { clusterUnlocked, isStandby }),
});

it('reads every fact as it was published, while no member leads', () => {
  fc.assert(
    fc.property(word, (told) => {
      expect(readOwnWord(body(told))).toEqual(told);
    }),
  );
});

it('leaves out facts that count only in a race while a member leads', () => {
  fc.assert(
    fc.property(word, (told) => {
      const { attached, timelineFingerprint, ...rest } = told;
      expect(readOwnWord(body(told, false))).toEqual(rest);
    }),
  );
});

it('leaves out facts about the WAL of a standby where no standby says them', () => {
  fc.assert(
    fc.property(word, (told) => {
      const { attached, timelineFingerprint, replaying, restored, strayed, ...rest } = told;
      expect(readOwnWord(body(told, true, false))).toEqual(rest);
    }),
  );
});

it('leaves out facts that do not hold or are not known', () => {
  expect(body({ watchdogFailed: false, strayed: false, attached: false })).toEqual({ regent: {} });
});

it('takes only true as true, and no empty or foreign value as a text', () => {
  const regent = { restored: 1, strayed: 'yes', attached: false, timeline_beginning: 7, stepped_down: null, promotion_trouble: '' };
  expect(readOwnWord({ watchdog_failed: 'true', regent })).toEqual({ watchdogFailed: false });
});

it('finds what an older Regent says beside `regent`, in `wal` and in `xlog`', () => {
  const told = { promotion_trouble: 'a full disk', wal: { restored: true }, xlog: { strayed: true }, regent: { fence: '5/7' } };
  expect(readOwnWord(told)).toEqual({
    watchdogFailed: false,
    promotionTrouble: 'a full disk',
    restored: true,
    strayed: true,
    fence: '5/7',
  });
});
