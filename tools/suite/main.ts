/**
 * `regent test [PART ...] [-- VITEST ARGUMENTS]`: everything that has to hold, in one command.
 *
 * Parts run one after another and a failing one does not hide the others. What only computes runs
 * beside the integration tests, where both are asked for. The last line printed is `N passed, N
 * failed`.
 */
import { writeFile } from 'node:fs/promises';
import { styleText } from 'node:util';
import { checkoutRoot } from '../root.ts';
import { type NamedTally, startBeside } from './beside.ts';
import { runTutorial } from './docker/part.ts';
import { runIntegration } from './lanes.ts';
import { ensureTestPrograms, fetchReleases } from './needs.ts';
import { runLint, runTidy, runTypes, runVitest } from './parts.ts';
import { binDirOf } from './releases/find.ts';
import { failuresText, sumOf, type Tally, tallyLine } from './report.ts';
import { runSimulations } from './simulate.ts';

interface Part {
  readonly summary: string;
  readonly needsPrograms?: boolean;
  /** It only computes, on a clock of its own. */
  readonly computes?: boolean;
  readonly run: (root: string, extra: readonly string[], consent: boolean, major: number | null) => Promise<Tally>;
}

const ZOO = 'test/sim/zoo/zoo.test.ts';

const PARTS: Readonly<Record<string, Part>> = {
  types: { summary: 'the type checker', run: (root) => runTypes(root) },
  lint: { summary: 'biome', run: (root) => runLint(root) },
  tidy: { summary: 'house rules: sizes, layers, leftovers, columns', run: (root) => runTidy(root) },
  unit: {
    summary: 'tests beside the code',
    run: (root, extra) => runVitest(root, 'unit', ['--exclude', ZOO, '--maxWorkers=100%', ...extra]),
  },
  zoo: {
    summary: 'agents that are broken on purpose, each noticed by the simulator',
    computes: true,
    run: (root, extra) => runVitest(root, 'unit', [ZOO, ...extra]),
  },
  sim: {
    summary: 'simulated clusters from fixed seeds, and two minutes of fresh ones; with `-- --fixed` without these',
    computes: true,
    run: runSimulations,
  },
  releases: {
    summary: 'PostgreSQL of other majors and Patroni of other ages, unpacked outside the checkout',
    run: (_root, _extra, consent) => fetchReleases(consent),
  },
  integration: {
    summary: 'real PostgreSQL, etcd and HAProxy',
    needsPrograms: true,
    run: async (root, extra, consent, major) => {
      await fetchReleases(consent);
      return runIntegration(root, extra, major === null ? {} : { REGENT_TEST_BIN_DIR: binDirOf(major) });
    },
  },
  tutorial: { summary: 'the tutorial, command by command, on Docker Compose', run: runTutorial },
};

const EXIT_USAGE = 2;
/** Between two runs of this command only: where the inner one writes what its parts found. */
const TALLIES = '--tallies=';

function usage(): string {
  const lines = Object.entries(PARTS).map(([name, part]) => `  ${name.padEnd(12)} ${part.summary}`);
  return [
    'usage: regent test [--yes] [--postgres MAJOR] [PART ...] [-- VITEST ARGUMENT ...]',
    '',
    'Without a part, all of them:',
    ...lines,
  ].join('\n');
}

function heading(text: string): void {
  process.stdout.write(`\n${styleText('bold', `== ${text}`)}\n`);
}

async function runPart(name: string, part: Part, ...work: Parameters<Part['run']>): Promise<Tally> {
  heading(name);
  const begun = Date.now();
  let tally: Tally;
  try {
    const [, , consent] = work;
    if (part.needsPrograms) await ensureTestPrograms(consent);
    tally = await part.run(...work);
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
    if (error instanceof Error && 'mend' in error && error.mend) process.stdout.write(`  mend: ${error.mend}\n`);
    tally = { passed: 0, failed: 1, skipped: 0 };
  }
  process.stdout.write(`${name}: ${verdict(tally)} in ${((Date.now() - begun) / 1000).toFixed(1)} s\n`);
  return tally;
}

function verdict({ passed, failed, skipped }: Tally): string {
  if (failed > 0) return 'FAILED';
  return passed === 0 && skipped > 0 ? 'skipped' : 'passed';
}

/** Beside which part the computing ones run: it mostly waits, for servers and their timeouts. */
const WAITING_PART = 'integration';

async function runParts(names: readonly string[], ...work: Parameters<Part['run']>): Promise<NamedTally[]> {
  const [root, extra] = work;
  const computing = names.includes(WAITING_PART) ? names.filter((name) => PARTS[name]!.computes === true) : [];
  const tallies: NamedTally[] = [];
  for (const name of names) {
    if (computing.includes(name)) continue;
    const beside = name === WAITING_PART && computing.length > 0 ? await startBeside(root, computing, extra) : null;
    tallies.push({ part: name, ...(await runPart(name, PARTS[name]!, ...work)) });
    if (beside !== null) tallies.push(...(await beside.ended()));
  }
  return tallies;
}

/** `--postgres 17`: the integration tests run on that major. */
function takeMajor(args: readonly string[]): { readonly major: number | null; readonly rest: readonly string[] } {
  const at = args.indexOf('--postgres');
  if (at < 0) return { major: null, rest: args };
  return { major: Number(args[at + 1]), rest: args.toSpliced(at, 2) };
}

export async function testMain(args: readonly string[]): Promise<number> {
  const dashes = args.indexOf('--');
  const own = dashes < 0 ? args : args.slice(0, dashes);
  const extra = dashes < 0 ? [] : args.slice(dashes + 1);
  if (own.includes('--help') || own.includes('-h')) {
    process.stdout.write(`${usage()}\n`);
    return 0;
  }
  const consent = own.includes('--yes') || process.env['CI'] === 'true';
  const told = own.find((argument) => argument.startsWith(TALLIES));
  const { major, rest } = takeMajor(own);
  const chosen = rest.filter((argument) => argument !== '--yes' && argument !== told);
  const unknown = chosen.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0) {
    process.stderr.write(`regent test: there is no part '${unknown.join("', '")}'.\n${usage()}\n`);
    return EXIT_USAGE;
  }
  const tallies = await runParts(chosen.length > 0 ? chosen : Object.keys(PARTS), checkoutRoot(), extra, consent, major);
  // The one that has started this tells it in its own words.
  if (told !== undefined) await writeFile(told.slice(TALLIES.length), JSON.stringify(tallies));
  const total = sumOf(tallies);
  const failures = failuresText(tallies);
  if (told === undefined) process.stdout.write(`${failures === '' ? '' : `\n${failures}\n`}\n${tallyLine(total)}\n`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}
