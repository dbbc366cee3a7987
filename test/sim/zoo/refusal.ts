/** Broken take-overs of asynchronous clusters from a leader whose ports refuse connections. */
import { at, rule } from './edit.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const refusal = 'src/core/quorum/refusal.ts';

const config = { synchronous_mode: 'off', failover_on_refusal: true, failover_fence: 'quorum', suspect_after: 1000 };
const long = { ...config, ttl: 20, loop_wait: 5, retry_timeout: 5 };
const three = { nodes: ['a', 'b', 'c'], clients: busy, everyMs: 8000, relays: false, old: [] };

export const refusalMutants: readonly Mutant[] = [
  {
    id: 'refused-by-agent-alone',
    broken: 'An asynchronous leader is replaced at once where only the port of its agent refuses connections.',
    offends: ['S2', 'S4'],
    edits: [
      at(refusal, 'isRefused').replacing('c.o.links.knocks?.refusedTwice === true', "c.o.links.knocks?.agent === 'refused'"),
      at(refusal, 'streamsFromLeader').returns('false'),
    ],
    verdicts: ['safety'],
    focus: under(['kill-agent'], long, three),
  },
  {
    id: 'silence-taken-for-refusal',
    broken: 'An asynchronous leader is replaced at once where its ports do not answer: its machine may be cut off.',
    offends: ['S2', 'S4'],
    edits: [
      at(refusal, 'isRefused').replacing('c.o.links.knocks?.refusedTwice === true', "c.o.links.knocks?.postgres === 'silent'"),
      at(refusal, 'streamsFromLeader').returns('false'),
    ],
    verdicts: ['safety'],
    focus: under(['isolate'], long, three),
  },
  {
    id: 'refused-one-alone',
    broken:
      'An asynchronous leader is replaced where its ports refuse one member, which does not ask the others, nor looks at its walreceiver.',
    offends: ['S2', 'S4'],
    edits: [rule('refused.streaming').dropped(), rule('refused.not-by-all').dropped()],
    verdicts: ['safety'],
    // The others are ahead of it as soon as somebody commits.
    focus: under(['reject-leader'], long, { ...three, clients: { ...busy, everyMs: 5000 } }),
  },
];
