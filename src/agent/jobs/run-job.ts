/**
 * How each job is done. A job may take long; the rounds go on meanwhile and renew the lease. It
 * ends, fails or is cancelled as a whole.
 */
import type { Job } from '../../core/effects.ts';
import { type BootstrapPorts, bootstrap } from './bootstrap.ts';
import { type ClonePorts, clone } from './clone.ts';
import { type CopySlotsPorts, copySlots } from './copy-slots.ts';
import { handover, type StopPorts } from './handover.ts';
import { DAY_MS } from './limits.ts';
import { type PromotePorts, promote } from './promote.ts';
import { compare, type RewindPorts, rewind } from './rewind.ts';
import { type BootstrapStandbyPorts, bootstrapStandby, demoteCluster } from './standby-cluster.ts';
import { type RestartPorts, type RetargetPorts, restart, retarget, start } from './start.ts';

export type JobPorts = BootstrapPorts &
  BootstrapStandbyPorts &
  ClonePorts &
  CopySlotsPorts &
  PromotePorts &
  RestartPorts &
  RetargetPorts &
  RewindPorts &
  StopPorts;

export function runJob(ports: JobPorts, job: Job, signal: AbortSignal): Promise<void> {
  switch (job.kind) {
    case 'bootstrap':
      return bootstrap(ports, signal);
    case 'bootstrap-standby':
      return bootstrapStandby(ports, job, signal);
    case 'demote-cluster':
      return demoteCluster(ports, signal);
    case 'clone':
    case 'reinitialize':
      return clone(ports, job, signal);
    case 'start':
      return start(ports, job.role, null, signal);
    case 'restart':
      return restart(ports, job, signal);
    case 'promote':
      return promote(ports, job.syncNames, signal);
    case 'handover':
      return handover(ports, job, signal);
    case 'compare':
      return compare(ports, job, signal);
    case 'rewind':
      return rewind(ports, job, signal);
    case 'copy-slots':
      return copySlots(ports, job, signal);
    case 'retarget':
      return retarget(ports, job, signal);
    case 'checkpoint':
      return ports.pg.checkpoint({ timeoutMs: DAY_MS, signal });
  }
}
