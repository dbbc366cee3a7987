/** Agents that take the wrong etcd, or give up what one without room still gives. */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

export const etcdMutants: readonly Mutant[] = [
  {
    id: 'stranger-etcd-believed',
    broken: 'Another etcd at an address that etcd advertises is taken for a member of the own one.',
    offends: ['S2', 'S3', 'S17'],
    edits: [at('test/sim/dcs.ts', 'isOurs').returns('true')],
    verdicts: ['safety', 'liveness', 'crash'],
    focus: under(['stranger-etcd'], {}, { nodes: ['a', 'b', 'c'] }),
  },
  {
    id: 'old-lease-let-go',
    broken:
      'An agent that is restarted while etcd grants no lease gives the lead up, though the lease its leader key is on could be renewed.',
    offends: ['S19'],
    edits: [at('src/agent/observe.ts', 'keepOldLease').returns('undefined')],
    verdicts: ['liveness'],
    focus: under([], {}, { nodes: ['a', 'b', 'c'], leftBroken: ['c'], leftHow: 'full' }),
  },
];
