/** `regent sim --zoo`: is every broken agent noticed, and how soon? */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RegentError } from '../../src/support/errors.ts';
import type { Mutant } from '../../test/sim/zoo/mutant.ts';
import { Meter, span, terminalOf } from './meter.ts';
import { EXIT, type SimOptions } from './options.ts';
import { Control, loadMutants, measure, medianSeeds } from './zoo.ts';
import { type Measured, withTable, zooTable } from './zoo-table.ts';

type ZooOptions = Extract<SimOptions, { mode: 'zoo' }>;

const DOCUMENT = 'docs/simulator.md';
const HINTS = 'test/sim/zoo/hints.json';
/** Sightings from which a median is taken. */
const ENOUGH = 5;

const say = (text: string) => void process.stdout.write(`${text}\n`);

export async function zooMain(root: string, options: ZooOptions, signal: AbortSignal): Promise<number> {
  const all = await loadMutants(root);
  const unknown = options.only.filter((id) => !all.some((mutant) => mutant.id === id));
  if (unknown.length > 0) {
    const mend = `the zoo has: ${all.map((mutant) => mutant.id).join(', ')}`;
    throw new RegentError('SIM_OPTION', `there is no mutant ${unknown.join(', ')}`, { mend });
  }
  const chosen = options.only.length === 0 ? all : all.filter((mutant) => options.only.includes(mutant.id));
  const measured = await measureAll(root, chosen, options, signal);
  const survivors = measured.filter(({ ordinary, focused }) => ordinary.sightings.length + focused.sightings.length === 0);
  if (options.hints) await keepHints(root, all, measured);
  else if (options.only.length === 0 && !signal.aborted) await draw(root, measured);
  const early = signal.aborted ? ', then it was stopped by hand' : '';
  say(`${measured.length - survivors.length} of ${measured.length} broken agents were noticed${early}`);
  if (survivors.length > 0) return EXIT.survived;
  return signal.aborted ? EXIT.stopped : EXIT.pass;
}

async function measureAll(root: string, mutants: readonly Mutant[], options: ZooOptions, signal: AbortSignal): Promise<Measured[]> {
  const { from, seeds, jobs } = options;
  const control = await Control.open(root, jobs);
  const measured: Measured[] = [];
  const meter = new Meter(terminalOf(process.stderr));
  const over = () => signal.aborted;
  try {
    for (const mutant of mutants) {
      const begun = meter.elapsedMs;
      meter.show(() => `${measured.length + 1} of ${mutants.length}: ${mutant.id}, for ${span(meter.elapsedMs - begun)}`);
      const search = { from, seeds, jobs, over };
      const focus = mutant.focus === undefined ? {} : { focus: mutant.focus };
      const focused = await measure(root, mutant, control, { ...search, ...focus, enough: 1 });
      const ordinary = options.hints
        ? { mutant, sightings: [], tried: 0 }
        : await measure(root, mutant, control, { ...search, enough: ENOUGH });
      if (signal.aborted) break;
      const one = { ordinary, focused };
      measured.push(one);
      meter.clear();
      say(lineOf(one, options.hints));
    }
  } finally {
    meter.end();
    await control.close();
  }
  return measured;
}

function lineOf({ ordinary, focused }: Measured, focusOnly: boolean): string {
  const seen = focused.sightings[0] ?? ordinary.sightings[0];
  const { id, broken } = ordinary.mutant;
  if (seen === undefined) return `NOT NOTICED ${id} in ${focused.tried + ordinary.tried} seeds: ${broken}`;
  const under = focused.sightings[0] === undefined ? `not in ${focused.tried}` : `after ${focused.sightings[0].at}`;
  const first = ordinary.sightings[0];
  const usual = first === undefined ? `not in ${ordinary.tried}` : `after ${first.at}, median ${medianSeeds(ordinary)}`;
  const found = focusOnly ? `under its focus ${under} seeds` : `under its focus ${under} seeds, ordinarily ${usual}`;
  return `${id}: ${found}: ${seen.kind}: ${seen.message.slice(0, 120)}`;
}

/** Those of mutants that were not looked at stay. */
async function keepHints(root: string, all: readonly Mutant[], measured: readonly Measured[]): Promise<void> {
  const file = join(root, HINTS);
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Readonly<Record<string, number>>;
  const hints: Record<string, number> = {};
  for (const { id } of all) {
    const seed = measured.find(({ focused }) => focused.mutant.id === id)?.focused.sightings[0]?.seed ?? before[id];
    if (seed !== undefined) hints[id] = seed;
  }
  await writeFile(file, `${JSON.stringify(hints, null, 2)}\n`);
  say(`the seeds are kept in ${HINTS}`);
}

async function draw(root: string, measured: readonly Measured[]): Promise<void> {
  const file = join(root, DOCUMENT);
  const drawn = withTable(await readFile(file, 'utf8'), zooTable(measured));
  if (drawn === null) {
    const mend = 'put its two marks back (tools/sim/zoo-table.ts)';
    throw new RegentError('ZOO_TABLE', `${DOCUMENT} has no place for the table`, { mend });
  }
  await writeFile(file, drawn);
  say(`the table in ${DOCUMENT} is drawn anew`);
}
