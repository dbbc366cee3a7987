/** Broken failsafe mode: members that break what they agreed to, leaders that count on too much. */
import { at, rule } from './edit.ts';
import { busy, type Focus, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const failsafe = 'src/core/failsafe.ts';
const bothSides = 'src/agent/failsafe.ts';
const authority = 'src/core/authority.ts';

const on = { synchronous_mode: 'off', failsafe_mode: true };
const three: Focus = { nodes: ['a', 'b', 'c'], clients: busy, everyMs: 20_000, untilMs: 128_000, relays: false };

const alone = ['lead-alone', 'agree-late'];

export const failsafeMutants: readonly Mutant[] = [
  {
    id: 'failsafe-not-kept',
    broken: 'A member that has agreed to failsafe mode takes the leader key when it is free.',
    offends: ['S2', 'S21', 'M18'],
    edits: [at(failsafe, 'standsBy').returns('null'), rule('race.others-failsafe').dropped(), rule('race.peer-primary').dropped()],
    verdicts: ['safety'],
    focus: under(alone, on, three),
  },
  {
    id: 'failsafe-forgotten-by-restart',
    broken: 'An agent does not reckon with what the agent before it has agreed to.',
    offends: ['S2', 'S4', 'S21', 'M18'],
    edits: [rule('race.failsafe-before').dropped(), rule('race.others-failsafe').dropped(), rule('race.peer-primary').dropped()],
    verdicts: ['safety'],
    focus: under(alone, on, three),
  },
  {
    id: 'failsafe-silence-counts',
    broken: 'A leader goes on in failsafe mode, whoever refuses or does not answer.',
    offends: ['S2', 'S21', 'M18'],
    edits: [at(bothSides, 'Failsafe.#ask').without('if (replies.some(({ refusal }) => refusal !== null)) return;')],
    verdicts: ['safety'],
    // Of a member that is silent, the leader hears so after four seconds.
    focus: under(alone, { ...on, ttl: 10, loop_wait: 2, retry_timeout: 3 }, three),
  },
  {
    id: 'failsafe-counted-from-answer',
    broken: 'A leader counts what was agreed to from when the answers came.',
    offends: ['S2', 'S21', 'M18'],
    edits: [
      at(bothSides, 'Failsafe.#ask').replacing(
        "({ kind: 'agreed', sentAtMs, ttlSeconds, by: Object.keys(members).sort() })",
        "({ kind: 'agreed', sentAtMs: clock.bootMs(), ttlSeconds, by: [] })",
      ),
    ],
    verdicts: ['safety'],
    focus: under(alone, on, three),
  },
  {
    id: 'failsafe-for-ever',
    broken: 'What was agreed to once counts for ten times as long.',
    offends: ['S2', 'S21', 'M18'],
    edits: [at(authority, 'failsafeOrder').replacing('agreed.ttlSeconds', '10 * agreed.ttlSeconds')],
    verdicts: ['safety'],
    focus: under(alone, on, three),
  },
  {
    id: 'failsafe-outsider-leads',
    broken: 'A member that the failsafe map does not name takes the leader key.',
    offends: ['S2', 'S21', 'M18'],
    edits: [rule('race.outside-failsafe').dropped(), rule('race.others-failsafe').dropped(), rule('race.peer-primary').dropped()],
    verdicts: ['safety'],
    focus: under(['crash', 'isolate', 'lead-alone'], on, { ...three, nodes: ['a', 'b'], everyMs: 7000 }),
  },
];
