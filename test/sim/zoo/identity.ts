/** Agents that take what they do not know for a server that is down. */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const three = { nodes: ['a', 'b', 'c'] };

export const identityMutants: readonly Mutant[] = [
  {
    id: 'unknown-process-is-stopped',
    broken: 'A live process in postmaster.pid that is not known as the server is taken for a server that is down.',
    offends: ['S2', 'S12'],
    edits: [
      at('test/sim/facts.ts', 'factsOf').replacing(
        'if (stranger !== null) facts.unexplained = stranger',
        "if (stranger !== null) { facts.state = 'stopped'; facts.control = readable ? controlOf(server) : null; }",
      ),
    ],
    verdicts: ['safety'],
    focus: under(['hide-server'], {}, three),
  },
  {
    id: 'unknown-process-acted-on',
    broken: 'The rules go on as usual while postmaster.pid names a live process that is not known.',
    offends: ['S2', 'S12'],
    edits: [at('src/core/rules/unexplained.ts', 'unexplainedProcess.when').is('() => false')],
    verdicts: ['crash', 'safety'],
    focus: under(['hide-server', 'take-pid'], {}, three),
  },
];
