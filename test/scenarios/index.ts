/** All stories, in the order of docs/scenarios.md. */
import { asyncLoss, quorumLosesNothing } from './m01-async-loss.ts';
import { waitCancelled } from './m02-wait-cancelled.ts';
import { crashFailsOver, crashHides } from './m03-crash.ts';
import { sessionDoesNotWait } from './m04-session-does-not-wait.ts';
import { remoteWrite } from './m05-remote-write.ts';
import { slowDemotion } from './m06-slow-demotion.ts';
import { agentKilled, agentWedged } from './m07-agent-gone.ts';
import { diskHangs, postgresHangs } from './m08-cannot-serve.ts';
import { machineSuspended } from './m08-machine-suspended.ts';
import { agentAway, blinkOfAnEye, processesGone } from './m08-missed.ts';
import { asyncMachineGone, asyncProcessesGone } from './m08-refused.ts';
import { quorumShrinks, standbyReplaced } from './m09-sync-set-changes.ts';
import { tooFewVotes } from './m10-too-few-votes.ts';
import { stillReplaying } from './m11-position-not-final.ts';
import { zombiePrimary } from './m12-zombie-primary.ts';
import { secondTimelineRefused, twinFoundOut } from './m13-one-number-twice.ts';
import { rewindSource } from './m15-rewind-source.ts';
import { candidateBehind, standbyVanishes, switchoverUnderLoad } from './m16-planned-switch.ts';
import { standbyCluster } from './m16-standby-cluster.ts';
import { stalePrimary } from './m17-stale-primary.ts';
import { failsafeAlone, failsafeMemberGone, failsafeMode } from './m18-failsafe.ts';
import { etcdMisleads } from './m19-etcd-misleads.ts';
import { etcdAway, leaderAlone, leaderVouchedFor } from './m19-without-etcd.ts';
import { divergedInTheWay } from './m20-diverged-in-the-way.ts';
import { noDeadEnd } from './m20-no-dead-end.ts';
import { cloneInterrupted } from './m21-clone-interrupted.ts';
import { cutOffPrimary, routerKilled } from './m22-routing.ts';
import { fullForData, fullForWal } from './m24-disk-full.ts';
import { promiseKept } from './m25-promise-kept.ts';
import { voterRestarts } from './m25-voter-restarts.ts';
import { twoCandidates } from './m26-two-candidates.ts';
import type { Scenario } from './story.ts';

export const scenarios: readonly Scenario[] = [
  asyncLoss,
  quorumLosesNothing,
  waitCancelled,
  crashHides,
  crashFailsOver,
  sessionDoesNotWait,
  remoteWrite,
  slowDemotion,
  agentKilled,
  agentWedged,
  machineSuspended,
  processesGone,
  agentAway,
  blinkOfAnEye,
  postgresHangs,
  diskHangs,
  asyncProcessesGone,
  asyncMachineGone,
  quorumShrinks,
  standbyReplaced,
  tooFewVotes,
  stillReplaying,
  zombiePrimary,
  secondTimelineRefused,
  twinFoundOut,
  rewindSource,
  switchoverUnderLoad,
  candidateBehind,
  standbyVanishes,
  standbyCluster,
  stalePrimary,
  failsafeMode,
  failsafeMemberGone,
  failsafeAlone,
  etcdMisleads,
  etcdAway,
  leaderAlone,
  leaderVouchedFor,
  divergedInTheWay,
  noDeadEnd,
  cloneInterrupted,
  cutOffPrimary,
  routerKilled,
  fullForData,
  fullForWal,
  voterRestarts,
  promiseKept,
  twoCandidates,
];
