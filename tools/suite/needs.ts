import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { installPackages } from '../../src/demo/install.ts';
import { defaultSurvey, surveyPrograms } from '../../src/demo/programs.ts';

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

/** Installs what the integration tests run against, where it may; throws with the command to run where it may not. */
export async function ensureTestPrograms(consent: boolean): Promise<void> {
  const options = defaultSurvey(process.env);
  const survey = await surveyPrograms(options);
  const packages = survey.missing.flatMap((program) => program.debianPackages);
  const reasons = survey.missing.map((program) => `${program.what}: ${program.reason}`);
  for (const [tool, debianPackage] of Object.entries(TEST_TOOLS)) {
    if (packages.includes(debianPackage) || (await isThere(tool, options.path))) continue;
    packages.push(debianPackage);
    reasons.push(`no ${tool} in PATH`);
  }
  if (packages.length === 0) return;
  await installPackages(packages, reasons, {
    consent,
    isRoot: process.getuid?.() === 0,
    terminal: { interactive: process.stdin.isTTY === true, input: process.stdin, output: process.stdout },
  });
}
