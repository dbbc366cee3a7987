/** Random rounds of member `a` after its history left the leader's, and its memory of mending. */
import fc from 'fast-check';
import type { Memory, Observation } from '../../src/core/model.ts';
import { lsn, member, memory, observation, pg, settings, view } from './build.ts';
import { fingerprint, SYSTEM_ID } from './random-rounds.ts';

/** A timeline 2 that is not the leader's. */
const heardOf = { timeline: 2, history: [{ timeline: 1, switchLsn: lsn(1500), reason: 'x' }] };

/** A former primary that is down, or a standby, and whose WAL left the history of the leader b. */
export const mendRound: fc.Arbitrary<Observation> = fc
  .record({
    standby: fc.boolean(),
    timeline: fc.constantFrom(1, 1, 2),
    position: fc.constantFrom(lsn(900), lsn(1200)),
    state: fc.constantFrom('shut down', 'in production'),
    usePgRewind: fc.constantFrom(true, true, false),
    walLogHints: fc.constantFrom(true, true, false),
    removeDataDirectoryOnRewindFailure: fc.boolean(),
    removeDataDirectoryOnDivergedTimelines: fc.boolean(),
    fingerprint,
    sourceFingerprint: fingerprint,
    sourceSystem: fc.constantFrom(SYSTEM_ID, SYSTEM_ID, SYSTEM_ID, SYSTEM_ID, SYSTEM_ID, '1111111111111'),
    hasOurEnd: fc.constantFrom(undefined, true, false),
    aimsAt: fc.constantFrom(null, null, heardOf),
  })
  .map((d) => {
    const { usePgRewind, removeDataDirectoryOnRewindFailure, removeDataDirectoryOnDivergedTimelines } = d;
    const control = { state: d.state, timeline: d.timeline, checkpointLsn: d.position, walLogHints: d.walLogHints, dataChecksums: false };
    const facts = d.standby ? pg.standby({ receiveLsn: d.position, replayLsn: d.position, timeline: d.timeline }) : pg.stopped(control);
    return observation({
      view: view({ leaderName: 'b', members: [member('a'), member('b', { role: 'primary' })] }),
      settings: settings('a', {
        postgresql: { usePgRewind, removeDataDirectoryOnRewindFailure, removeDataDirectoryOnDivergedTimelines },
      }),
      pg: {
        ...facts,
        ...(d.fingerprint && { timelineFingerprint: d.fingerprint }),
        ...(d.aimsAt && d.standby && d.timeline === 1 && { aimsAt: d.aimsAt }),
      },
      source: {
        name: 'b',
        systemIdentifier: d.sourceSystem,
        timeline: 2,
        lsn: lsn(2000),
        inRecovery: false,
        history: [{ timeline: 1, switchLsn: lsn(950), reason: 'x' }],
        ...(d.hasOurEnd !== undefined && { hasOurEnd: d.hasOurEnd }),
        ...(d.sourceFingerprint && { timelineFingerprint: d.sourceFingerprint }),
      },
    });
  });

/** What member `a` remembers of rewinds and copies that failed. */
export const mendMemory: fc.Arbitrary<Memory> = fc
  .record({
    rewinds: fc.nat(4),
    copies: fc.constantFrom(0, 0, 1),
    compared: fc.constantFrom(undefined, 'SOURCE_UNREACHABLE', 'COMPARE_DIVERGED', 'COMPARE_UNKNOWN', 'COMPARE_NO_PROGRAM'),
    compares: fc.constantFrom(1, 3),
    code: fc.constantFrom('SOURCE_UNREACHABLE', 'REWIND_REFUSED', 'REWIND_FAILED', 'REWIND_NO_PROGRAM', null),
    source: fc.constantFrom('b', 'b', 'c'),
    lastAtMs: fc.constantFrom(9_900, -400_000),
  })
  .map(({ rewinds, copies, compared, compares, code, source, lastAtMs }) =>
    memory({
      failures: {
        ...(rewinds > 0 && { rewind: { count: rewinds, lastAtMs, message: 'why', code, source } }),
        ...(compared && { compare: { count: compares, lastAtMs, message: 'why', code: compared, source } }),
        ...(copies > 0 && { reinitialize: { count: copies, lastAtMs, message: 'why', code: null } }),
      },
    }),
  );
