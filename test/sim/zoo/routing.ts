/** Broken rules of the router. */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

export const routingMutants: readonly Mutant[] = [
  {
    id: 'sessions-not-cut',
    broken: 'The router leaves the sessions on a server that is not the primary alone.',
    // Clients that are left on such a server have nothing acknowledged any more.
    offends: ['S16', 'S19', 'M22'],
    edits: [at('src/router/decide.ts', 'close').replacing('sessions > 0', 'false')],
    verdicts: ['liveness'],
    focus: under(
      ['isolate', 'cut-etcd', 'freeze-both', 'kill-router'],
      {},
      {
        nodes: ['a', 'b', 'c'],
        untilMs: 30_000,
        clients: { everyMs: 50, routed: true, haproxy: true, stubborn: null, cancels: 0, local: 0 },
      },
    ),
  },
];
