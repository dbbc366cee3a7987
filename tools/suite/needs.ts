import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { installPackages } from '../../src/demo/install.ts';
import { defaultSurvey, surveyPrograms } from '../../src/demo/programs.ts';
import { RELEASES } from './releases/catalog.ts';
import { ensureReleases } from './releases/fetch.ts';
import type { Tally } from './report.ts';

/** Programs that only the tests use, and the Debian package of each. */
const TEST_TOOLS: Readonly<Record<string, string>> = {
  etcdctl: 'etcd-client',
  ip: 'iproute2',
  setpriv: 'util-linux',
  psql: 'postgresql-client',
};

async function isThere(name: string, path: string): Promise<boolean> {
  for (const directory of path.split(delimiter)) {
    if (directory === '') continue;
    const found = await access(join(directory, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

/**
 * The missing programs, searched where a daemon or a tool may lie. Each name goes with the Debian
 * package that has it.
 */
export async function missingTools(
  tools: Readonly<Record<string, string>>,
): Promise<ReadonlyArray<readonly [tool: string, debianPackage: string]>> {
  const { path } = defaultSurvey(process.env);
  const there = await Promise.all(Object.keys(tools).map((tool) => isThere(tool, path)));
  return Object.entries(tools).filter((_, index) => !there[index]);
}

/** Installs what is missing, where it may; throws with the command to run where it may not. */
export async function ensureTools(tools: Readonly<Record<string, string>>, consent: boolean): Promise<void> {
  const missing = await missingTools(tools);
  const packages = [...new Set(missing.map(([, debianPackage]) => debianPackage))];
  await install(
    packages,
    missing.map(([tool]) => `no ${tool} in PATH`),
    consent,
  );
}

/**
 * Installs what the integration tests run against, where it may; throws with the command to run
 * where it may not.
 */
export async function ensureTestPrograms(consent: boolean): Promise<void> {
  const survey = await surveyPrograms(defaultSurvey(process.env));
  const packages = survey.missing.flatMap((program) => program.debianPackages);
  const reasons = survey.missing.map((program) => `${program.what}: ${program.reason}`);
  for (const [tool, debianPackage] of await missingTools(TEST_TOOLS)) {
    if (packages.includes(debianPackage)) continue;
    packages.push(debianPackage);
    reasons.push(`no ${tool} in PATH`);
  }
  await install(packages, reasons, consent);
}

async function install(packages: readonly string[], reasons: readonly string[], consent: boolean): Promise<void> {
  if (packages.length === 0) return;
  await installPackages(packages, reasons, {
    consent,
    isRoot: process.getuid?.() === 0,
    terminal: { interactive: process.stdin.isTTY === true, input: process.stdin, output: process.stdout },
  });
}

/**
 * Downloads PostgreSQL of other majors and Patroni of other ages, as root or with the user's
 * consent. What is not to be had is no failure: the tests that need it say why they are skipped.
 */
export async function fetchReleases(consent: boolean): Promise<Tally> {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const missing = await ensureReleases({ allowed: consent || process.getuid?.() === 0, say });
  for (const { name, reason } of missing) say(`tests of ${name} will be skipped: ${reason}`);
  return { passed: RELEASES.length - missing.length, failed: 0, skipped: missing.length };
}
