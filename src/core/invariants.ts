/**
 * What no decision may contain, whatever the rules say. A violation is a bug: the agent stops, the
 * lease runs out, the guard stops PostgreSQL. Numbers refer to docs/SPEC.md.
 */
import { invariant } from '../support/assert.ts';
import type { Context } from './context.ts';
import { type Effect, opensForWrites } from './effects.ts';
import type { Decision } from './model.ts';
import { isRefused } from './quorum/refusal.ts';

const startsWritable = (effect: Effect): boolean => effect.kind === 'start-job' && opensForWrites(effect.job);

/**
 * What another PostgreSQL in the same directory must never meet, and what would tell others that
 * none takes writes here.
 */
const AT_WORK: ReadonlySet<Effect['kind']> = new Set(['start-job', 'acquire-leader', 'attach-leader', 'release-leader']);

/** Some source is better than none where nothing was promised; a promise leaves none. */
function streams(effect: Effect): boolean {
  if (effect.kind === 'apply-config') return effect.role.kind === 'standby' && effect.role.source !== null;
  if (effect.kind !== 'start-job') return false;
  if (!('role' in effect.job)) return false;
  return effect.job.role.kind === 'standby' && effect.job.role.source !== null;
}

const removesData = (effect: Effect): boolean =>
  effect.kind === 'start-job' && (effect.job.kind === 'clone' || effect.job.kind === 'reinitialize');

export function checkDecision(c: Context, decision: Decision): void {
  const { effects } = decision;
  const has = (kind: Effect['kind']) => effects.some((effect) => effect.kind === kind);
  if (effects.some(startsWritable) && !c.paused) {
    invariant(c.lockMine && c.mayLeadNow, `S2: ${decision.rule} would open for writes without a confirmed lease`);
    invariant(c.o.pg.dataDir === 'valid', `S10: ${decision.rule} would open an incomplete data directory for writes`);
    invariant(
      c.o.pg.baseBackup === undefined,
      `S10: ${decision.rule} would open a base backup for writes that was not recovered to its end`,
    );
  }
  invariant(c.paused || !c.followsRemote || !effects.some(startsWritable), `S26: ${decision.rule} would open a standby cluster for writes`);
  if (has('acquire-leader')) {
    invariant(c.unlocked, `S3: ${decision.rule} would take a leader key that another holds`);
    invariant(c.o.pg.dataDir === 'valid', `S10: ${decision.rule} would lead with an incomplete data directory`);
  }
  if (has('take-over')) {
    invariant(c.fenced && c.isStandby && !c.paused, `S4: ${decision.rule} would take over without having promised`);
    invariant(c.o.pg.dataDir === 'valid', `S10: ${decision.rule} would lead with an incomplete data directory`);
  }
  if (has('take-refused')) {
    invariant(isRefused(c) && c.isStandby && !c.paused, `S4: ${decision.rule} would take over from a leader that has not refused it`);
    invariant(c.o.pg.dataDir === 'valid', `S10: ${decision.rule} would lead with an incomplete data directory`);
  }
  if (c.fenced) invariant(!effects.some(streams), `S4: ${decision.rule} would stream from a leader that this node has promised to leave`);
  if (effects.some(removesData)) {
    const clones = effects.flatMap((effect) => (effect.kind === 'start-job' && effect.job.kind === 'clone' ? [effect.job] : []));
    const nothingHere = c.o.pg.dataDir !== 'valid' && c.o.pg.incompleteWork !== 'rewind';
    const elsewhere = c.otherLeader !== null && !c.lockMine;
    const fromBackup = clones.some(({ source }) => source === null) && c.unlocked;
    invariant(elsewhere || fromBackup, `S12: ${decision.rule} would replace data while no other member leads`);
    invariant(clones.length === 0 || nothingHere, `S12: ${decision.rule} would clone over a valid data directory`);
  }
  if (has('write-sync') || has('set-sync-names')) {
    invariant(c.lockMine && c.mayLeadNow, `S6: ${decision.rule} would change the synchronous set without leading`);
    invariant(!(has('write-sync') && has('set-sync-names')), `S6: ${decision.rule} would change /sync and PostgreSQL in one step`);
  }
  if (c.o.pg.unexplained !== undefined && c.o.job === null) {
    invariant(
      !effects.some(({ kind }) => AT_WORK.has(kind)),
      `S2: ${decision.rule} would act as if nothing ran under an unexplained process`,
    );
  }
  const jobs = effects.filter((effect) => effect.kind === 'start-job').length;
  invariant(jobs <= 1 && (jobs === 0 || c.o.job === null), `${decision.rule} would start a job beside a running one`);
}
