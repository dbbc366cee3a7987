/** `regent sim --zoo`: is every broken agent noticed, and how soon? */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RegentError } from '../../src/support/errors.ts';
import type { Mutant } from '../../test/sim/zoo/mutant.ts';
import { Meter, span, terminalOf } from './meter.ts';
import { EXIT, type SimOptions } from './options.ts';
import { Control, loadMutants, type Measure, measure, medianSeeds } from './zoo.ts';
import { withTable, zooTable } from './zoo-table.ts';

const DOCUMENT = 'docs/simulator.md';
const HINTS = 'test/sim/zoo/hints.json';
/** Sightings from which a median is taken. */
const ENOUGH = 5;

const say = (text: string) => void process.stdout.write(`${text}\n`);

export async function zooMain(root: string, options: Extract<SimOptions, { mode: 'zoo' }>, signal: AbortSignal): Promise<number> {
  const all = await loadMutants(root);
  const unknown = options.only.filter((id) => !all.some((mutant) => mutant.id === id));
  if (unknown.length > 0) {
    throw new RegentError('SIM_OPTION', `there is no mutant ${unknown.join(', ')}`, {
      mend: `the zoo has: ${all.map((mutant) => mutant.id).join(', ')}`,
    });
  }
  const chosen = options.only.length === 0 ? all : all.filter((mutant) => options.only.includes(mutant.id));
  const control = await Control.open(root, options.jobs);
  const measured: Measure[] = [];
  const meter = new Meter(terminalOf(process.stderr));
  const { from, seeds, jobs } = options;
  try {
    for (const mutant of chosen) {
      if (signal.aborted) break;
      const begun = meter.elapsedMs;
      meter.show(() => `${measured.length + 1} of ${chosen.length}: ${mutant.id}, for ${span(meter.elapsedMs - begun)}`);
      const over = () => signal.aborted;
      const search = options.hints ? { enough: 1, ...(mutant.focus === undefined ? {} : { focus: mutant.focus }) } : { enough: ENOUGH };
      const one = await measure(root, mutant, control, { from, seeds, jobs, over, ...search });
      if (signal.aborted) break;
      measured.push(one);
      meter.clear();
      say(lineOf(one));
    }
  } finally {
    meter.end();
    await control.close();
  }
  const survivors = measured.filter((one) => one.sightings.length === 0);
  if (options.hints) await keepHints(root, all, measured);
  else if (options.only.length === 0 && !signal.aborted) await draw(root, measured);
  say(
    `${measured.length - survivors.length} of ${measured.length} broken agents were noticed${signal.aborted ? ', then it was stopped by hand' : ''}`,
  );
  if (survivors.length > 0) return EXIT.survived;
  return signal.aborted ? EXIT.stopped : EXIT.pass;
}

function lineOf(one: Measure): string {
  const first = one.sightings[0];
  if (first === undefined) return `NOT NOTICED ${one.mutant.id} in ${one.tried} seeds: ${one.mutant.broken}`;
  return `${one.mutant.id}: ${first.kind}, first after ${first.at} seeds (seed ${first.seed}), median ${medianSeeds(one)}: ${first.message.slice(0, 120)}`;
}

/** Those of mutants that were not looked at stay. */
async function keepHints(root: string, all: readonly Mutant[], measured: readonly Measure[]): Promise<void> {
  const file = join(root, HINTS);
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Readonly<Record<string, number>>;
  const hints: Record<string, number> = {};
  for (const { id } of all) {
    const seed = measured.find(({ mutant }) => mutant.id === id)?.sightings[0]?.seed ?? before[id];
    if (seed !== undefined) hints[id] = seed;
  }
  await writeFile(file, `${JSON.stringify(hints, null, 2)}\n`);
  say(`the seeds are kept in ${HINTS}`);
}

async function draw(root: string, measured: readonly Measure[]): Promise<void> {
  const file = join(root, DOCUMENT);
  const drawn = withTable(await readFile(file, 'utf8'), zooTable(measured));
  if (drawn === null)
    throw new RegentError('ZOO_TABLE', `${DOCUMENT} has no place for the table`, {
      mend: 'put its two marks back (tools/sim/zoo-table.ts)',
    });
  await writeFile(file, drawn);
  say(`the table in ${DOCUMENT} is drawn anew`);
}
