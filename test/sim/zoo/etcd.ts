/**
 * Clients of etcd that take the wrong one, believe what they should not, or lose what they were
 * told; and agents that give up what an etcd without room still gives.
 */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const client = 'src/adapters/etcd';

export const etcdMutants: readonly Mutant[] = [
  {
    id: 'stranger-etcd-believed',
    broken: 'Another etcd at an address that etcd advertises is taken for a member of the own one.',
    offends: ['S2', 'S3', 'S17'],
    edits: [at(`${client}/identity.ts`, 'ClusterIdentity.refusal').replacing('clusterId === this.#clusterId', "clusterId !== ''")],
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
  {
    id: 'swap-not-compared',
    broken: 'A key is written over whatever it holds, though it was to be exchanged for what was read.',
    offends: ['S8', 'S9', 'M26'],
    edits: [at(`${client}/txn.ts`, 'Transactions.replace').replacing('[this.revisionIs(key, modRevision), ...also]', '[]')],
    verdicts: ['safety', 'liveness'],
    focus: under(['slow-requests', 'lose-replies', 'crash', 'switchover'], { synchronous_mode: 'quorum' }),
  },
  {
    id: 'absence-not-compared',
    broken: 'A key that is to be created is put, whatever is there.',
    offends: ['S2', 'S3', 'S12'],
    edits: [at(`${client}/txn.ts`, 'Transactions.create').replacing('[this.absent(key), $$]', '[]')],
    verdicts: ['safety', 'liveness', 'crash'],
  },
  {
    id: 'event-skipped',
    broken: 'A watch that is opened again begins one revision too late.',
    offends: ['S19'],
    edits: [at(`${client}/watch.ts`, 'PrefixWatch.#request').replacing('this.#told + 1n', 'this.#told + 2n')],
    verdicts: ['liveness'],
    focus: under(['break-watches', 'switchover'], {}, { everyMs: 1000 }),
  },
];
