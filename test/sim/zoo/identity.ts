/** Agents that take what they do not know for a server that is down. */
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const three = { nodes: ['a', 'b', 'c'] };

export const identityMutants: readonly Mutant[] = [
  {
    id: 'unknown-process-is-stopped',
    broken: 'A live process in postmaster.pid that is not known as the server is taken for a server that is down.',
    offends: ['S2', 'S12'],
    edits: [
      {
        file: 'test/sim/facts.ts',
        find: '  if (stranger !== null) facts.unexplained = stranger;\n',
        replace:
          "  if (stranger !== null) {\n    facts.state = 'stopped';\n    facts.control = readable ? controlOf(server) : null;\n  }\n",
      },
    ],
    verdicts: ['safety'],
    focus: under(['hide-server'], {}, three),
  },
  {
    id: 'unknown-process-acted-on',
    broken: 'The rules go on as usual while postmaster.pid names a live process that is not known.',
    offends: ['S2', 'S12'],
    edits: [
      {
        file: 'src/core/rules/unexplained.ts',
        find: 'c.o.pg.unexplained !== undefined && c.o.job === null,',
        replace: 'c.o.pg.unexplained !== undefined && c.o.job === null && c.o.nowMs < 0,',
      },
    ],
    verdicts: ['crash', 'safety'],
    focus: under(['hide-server', 'take-pid'], {}, three),
  },
];
