/** What `regent sim` is asked for. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { RegentError } from '../../src/support/errors.ts';

/** By verdict; 0 is for runs in which everything held. */
export const EXIT = { pass: 0, usage: 2, crash: 3, safety: 4, liveness: 5, survived: 6, stopped: 130 } as const;

interface Common {
  readonly jobs: number;
  readonly shrink: boolean;
}

export type SimOptions =
  | (Common & { readonly mode: 'seeds'; readonly from: number; readonly seeds: number | null; readonly minutes: number | null })
  | (Common & { readonly mode: 'one'; readonly seed: number })
  | (Common & { readonly mode: 'plan'; readonly file: string })
  | (Common & { readonly mode: 'speed' })
  | (Common & {
      readonly mode: 'zoo';
      readonly from: number;
      readonly seeds: number;
      readonly only: readonly string[];
      readonly hints: boolean;
    });

const SEEDS = 1000;
const ZOO_SEEDS = 1000;
const SEED_MAX = 2 ** 32 - 1;
const JOBS_MAX = 256;

export const USAGE = `usage: regent sim [--seeds N] [--from SEED] [--minutes M] [--jobs J] [--no-shrink]
       regent sim --seed SEED
       regent sim --plan FILE
       regent sim --zoo [MUTANT ...] [--hints] [--seeds N] [--from SEED]
       regent sim --speed

Runs the real agents of a cluster in one process, on a virtual clock, over models of etcd, PostgreSQL, the network and the clients, breaks
what can break, and looks at what clients were promised. A seed draws everything; the same seed is the same run. docs/simulator.md tells more.

  --seeds N      that many seeds (default ${SEEDS}; with --minutes: as many as fit)
  --from SEED    the first of them (default 1)
  --minutes M    stop after so long
  --jobs J       so many at once (default: one a core)
  --seed SEED    this one alone, with its whole trace
  --plan FILE    a schedule that was saved, such as a shortened one, with its whole trace
  --no-shrink    do not look for the shortest schedule that still fails
  --zoo          break the agent on purpose, in every way of test/sim/zoo/ or in those named, and count the seeds until it is noticed
                 (at most N each, default ${ZOO_SEEDS}); without names the table in docs/simulator.md is drawn anew
  --hints        with --zoo: under the circumstances each mutant names, and keep the seed for the test that proves it every time
  --speed        measure how fast it is here; takes a minute

exit code: ${EXIT.pass} all held · ${EXIT.crash} an agent or the simulator crashed · ${EXIT.safety} a promise of safety was broken · ${EXIT.liveness} a cluster did not come back ·
           ${EXIT.survived} a broken agent was not noticed · ${EXIT.stopped} stopped by hand before anything failed · ${EXIT.usage} wrong arguments
`;

const wrong = (message: string, mend: string) => new RegentError('SIM_OPTION', message, { mend });

function whole(name: string, text: string | undefined, low: number, high: number): number | null {
  if (text === undefined) return null;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value >= low && value <= high) return value;
  throw wrong(`${name} ${text}: not a number it can be`, `give a whole number from ${low} to ${high}`);
}

function minutesOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = /^\d{1,6}(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw wrong(`--minutes ${text}: not a span of time`, 'give a number of minutes, such as 10 or 0.5');
}

/** null: help is wanted. Throws SIM_OPTION. */
export function parseSimOptions(args: readonly string[]): SimOptions | null {
  const { values, positionals } = read(args);
  if (values.help) return null;
  const modes = [
    values.seed !== undefined && '--seed',
    values.plan !== undefined && '--plan',
    values.zoo && '--zoo',
    values.speed && '--speed',
  ].filter(Boolean);
  if (modes.length > 1) throw wrong(`${modes.join(' and ')} do not go together`, 'give one of them');
  if (positionals.length > 0 && !values.zoo) throw wrong(`${positionals[0]}: only --zoo takes names`, 'see: regent sim --help');
  const common = { jobs: whole('--jobs', values.jobs, 1, JOBS_MAX) ?? availableParallelism(), shrink: !values['no-shrink'] };
  const seeds = whole('--seeds', values.seeds, 1, SEED_MAX);
  const from = whole('--from', values.from, 0, SEED_MAX) ?? 1;
  const minutes = minutesOf(values.minutes);
  const given = { '--seeds': values.seeds, '--from': values.from, '--minutes': values.minutes };
  const refuse = (names: ReadonlyArray<keyof typeof given>) => {
    const name = names.find((one) => given[one] !== undefined);
    if (name !== undefined) throw wrong(`${name} says nothing together with ${modes[0]}`, 'leave it out');
  };
  if (values.seed !== undefined) {
    refuse(['--seeds', '--from', '--minutes']);
    return { ...common, mode: 'one', seed: whole('--seed', values.seed, 0, SEED_MAX) ?? 0 };
  }
  if (values.plan !== undefined) {
    refuse(['--seeds', '--from', '--minutes']);
    return { ...common, mode: 'plan', file: values.plan };
  }
  if (values.speed) {
    refuse(['--seeds', '--from', '--minutes']);
    return { ...common, mode: 'speed' };
  }
  if (values.zoo) {
    refuse(['--minutes']);
    return { ...common, mode: 'zoo', from, seeds: seeds ?? ZOO_SEEDS, only: positionals, hints: values.hints ?? false };
  }
  if (values.hints) throw wrong('--hints goes with --zoo', 'see: regent sim --help');
  return { ...common, mode: 'seeds', from, minutes, seeds: seeds ?? (minutes === null ? SEEDS : null) };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        seeds: { type: 'string' },
        from: { type: 'string' },
        minutes: { type: 'string' },
        jobs: { type: 'string', short: 'j' },
        seed: { type: 'string' },
        plan: { type: 'string' },
        zoo: { type: 'boolean' },
        hints: { type: 'boolean' },
        speed: { type: 'boolean' },
        'no-shrink': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error), 'see: regent sim --help');
  }
}
