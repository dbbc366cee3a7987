/** Facts that this member publishes about itself, so that the others can judge it. */
import type { Context } from '../core/context.ts';
import { promotionsFailing } from '../core/failed-promotions.ts';
import { isLetGo } from '../core/let-go.ts';
import type { Memory } from '../core/model.ts';
import type { OwnWord } from '../core/peer-facts.ts';
import type { PostgresFacts } from '../core/postgres-facts.ts';
import { wroteByHand } from '../core/strays.ts';

/** `replaying` is with the positions of the running server (AgentStatus.sql). */
export function ownWord(pg: PostgresFacts | null, c: Context | null, memory: Memory): Omit<OwnWord, 'watchdogFailed' | 'replaying'> {
  const sql = pg?.state === 'running' ? pg.sql : null;
  const promotionTrouble = pg?.promotionTrouble ?? (c?.isStandby ? promotionsFailing(c) : null);
  return {
    ...(promotionTrouble === null ? {} : { promotionTrouble }),
    ...(memory.steppedDown === null ? {} : { steppedDown: memory.steppedDown }),
    restored: pg?.restored === true,
    strayed: wroteByHand(memory),
    attached: sql?.inRecovery === true && ((sql.primaryConninfo !== '' && !isLetGo(c)) || (c !== null && c.otherLeader !== null)),
    ...(pg?.timelineFingerprint === undefined ? {} : { timelineFingerprint: pg.timelineFingerprint }),
  };
}

/** Its texts may contain words of programs, and anybody may read them. */
export function maskedWord(word: OwnWord, masked: (text: string) => string): Pick<OwnWord, 'promotionTrouble' | 'steppedDown'> {
  const { promotionTrouble, steppedDown } = word;
  return {
    ...(promotionTrouble === undefined ? {} : { promotionTrouble: masked(promotionTrouble) }),
    ...(steppedDown === undefined ? {} : { steppedDown: masked(steppedDown) }),
  };
}
