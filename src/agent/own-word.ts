/** Facts that this member publishes about itself, so that the others can judge it. */
import { isKeptByFailsafe } from '../core/authority.ts';
import type { Context } from '../core/context.ts';
import { keepsOut, promotionsFailing } from '../core/failed-promotions.ts';
import { agreedWith } from '../core/failsafe.ts';
import { isLetGo } from '../core/let-go.ts';
import type { Memory } from '../core/model.ts';
import type { OwnWord } from '../core/peer-facts.ts';
import type { PostgresFacts } from '../core/postgres-facts.ts';
import { fenceText } from '../core/quorum/fence-mark.ts';
import { refusedTerm } from '../core/quorum/refusal.ts';
import { watched } from '../core/quorum/suspicion.ts';
import { isBound, vouchesFor } from '../core/quorum/vouching.ts';
import { wroteByHand } from '../core/strays.ts';

/** `replaying` is with the positions of the running server (AgentStatus.sql). */
export function ownWord(pg: PostgresFacts | null, c: Context | null, memory: Memory): Omit<OwnWord, 'watchdogFailed' | 'replaying'> {
  const sql = pg?.state === 'running' ? pg.sql : null;
  const seen = c === null ? null : watched(c);
  const refused = c === null ? null : refusedTerm(c);
  const fence = fenceOf(pg, c);
  const promotionTrouble = pg?.promotionTrouble ?? (c?.isStandby ? promotionsFailing(c) : null);
  return {
    ...(promotionTrouble === null ? {} : { promotionTrouble }),
    ...(memory.steppedDown === null ? {} : { steppedDown: memory.steppedDown }),
    keepsOut: c?.isStandby === true && keepsOut(c),
    restored: pg?.restored === true,
    strayed: wroteByHand(memory),
    attached:
      fence === null &&
      sql?.inRecovery === true &&
      ((c !== null && isBound(c)) || (sql.primaryConninfo !== '' && !isLetGo(c)) || (c !== null && c.otherLeader !== null)),
    ...givenWords(c),
    ...(seen?.suspicion.verdict === 'missed' ? { missesTerm: seen.fence.term } : {}),
    ...(refused === null ? {} : { refusedTerm: refused }),
    ...(fence === null ? {} : { fence }),
    ...(pg?.timelineFingerprint === undefined ? {} : { timelineFingerprint: pg.timelineFingerprint }),
  };
}

/** Others must not take the lead from a leader that goes on by them. */
function givenWords(c: Context | null): Pick<OwnWord, 'vouchesFor' | 'failsafe'> {
  if (c === null) return {};
  const vouched = vouchesFor(c);
  const leader = isKeptByFailsafe(c.authority, c.o.nowMs) ? c.me : agreedWith(c);
  return { ...(vouched === null ? {} : { vouchesFor: vouched }), ...(leader === null ? {} : { failsafe: leader }) };
}

/** Told only while it keeps what it has promised: nothing that could stream or replay is left. */
function fenceOf(pg: PostgresFacts | null, c: Context | null): string | null {
  if (pg?.fence === undefined || pg.fence === 'unreadable' || c === null || !c.fenced || !c.isStandby) return null;
  const { sql } = pg;
  const isFinal = sql !== null && sql.primaryConninfo === '' && sql.receiver === null && sql.replaying !== true;
  return isFinal ? fenceText(pg.fence) : null;
}

/** Its texts may contain words of programs, and anybody may read them. */
export function maskedWord(word: OwnWord, masked: (text: string) => string): Pick<OwnWord, 'promotionTrouble' | 'steppedDown'> {
  const { promotionTrouble, steppedDown } = word;
  return {
    ...(promotionTrouble === undefined ? {} : { promotionTrouble: masked(promotionTrouble) }),
    ...(steppedDown === undefined ? {} : { steppedDown: masked(steppedDown) }),
  };
}
