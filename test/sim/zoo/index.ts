/** The bug zoo: everything a checker must not let pass. */
import { admissionMutants } from './admission.ts';
import { choreMutants } from './chores.ts';
import { copyMutants } from './copies.ts';
import { dataMutants } from './data.ts';
import { etcdMutants } from './etcd.ts';
import { failsafeMutants } from './failsafe.ts';
import { fieldMutants } from './field.ts';
import { historyMutants } from './history.ts';
import { identityMutants } from './identity.ts';
import { leaseMutants } from './lease.ts';
import { lockedOutMutants } from './locked-out.ts';
import type { Mutant } from './mutant.ts';
import { quorumMutants } from './quorum.ts';
import { raceMutants } from './race.ts';
import { refusalMutants } from './refusal.ts';
import { routingMutants } from './routing.ts';
import { standbyClusterMutants } from './standby-cluster.ts';
import { strangerMutants } from './strangers.ts';
import { syncMutants } from './sync.ts';

export const mutants: readonly Mutant[] = [
  ...leaseMutants,
  ...raceMutants,
  ...syncMutants,
  ...dataMutants,
  ...routingMutants,
  ...choreMutants,
  ...etcdMutants,
  ...identityMutants,
  ...historyMutants,
  ...copyMutants,
  ...strangerMutants,
  ...lockedOutMutants,
  ...fieldMutants,
  ...quorumMutants,
  ...admissionMutants,
  ...refusalMutants,
  ...failsafeMutants,
  ...standbyClusterMutants,
];
