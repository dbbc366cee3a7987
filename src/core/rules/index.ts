/** The whole table, in order. docs/rules.md is drawn from it. */
import { anotherCluster, notInitialized, serverNotTakenOver, unusableDirectory } from './data-dir.ts';
import { etcdSilent, leaderKey, leaseAndGuard } from './fence.ts';
import { noData, unpublishedCluster } from './no-data.ts';
import { paused } from './paused.ts';
import { primary, switchover } from './primary.ts';
import { reinitializeRequest, restartRequest } from './requests.ts';
import { ending, jobRunning } from './shutdown.ts';
import { standby } from './standby.ts';
import { standbyClusterFence, standbyLeader } from './standby-cluster.ts';
import { starting } from './starting.ts';
import { stopped } from './stopped.ts';
import type { Rule, Section } from './table.ts';
import { unexplainedProcess } from './unexplained.ts';

export const sections: readonly Section[] = [
  unexplainedProcess,
  leaseAndGuard,
  standbyClusterFence,
  etcdSilent,
  leaderKey,
  ending,
  jobRunning,
  reinitializeRequest,
  unusableDirectory,
  unpublishedCluster,
  noData,
  anotherCluster,
  serverNotTakenOver,
  notInitialized,
  restartRequest,
  paused,
  stopped,
  starting,
  standbyLeader,
  switchover,
  primary,
  standby,
];

export const allRules: readonly Rule[] = sections.flatMap((section) => section.rules);
