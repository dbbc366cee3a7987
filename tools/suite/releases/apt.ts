/**
 * Packages of any Debian release, by this machine's own apt and from its own mirror, without
 * touching what is installed: lists, cache and state lie in a directory of ours.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RegentError } from '../../../src/support/errors.ts';
import { lastLines, runCommand } from '../../../src/support/exec.ts';
import { closure, parseDependencies } from './dependencies.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const COMMAND_MS = 5 * 60_000;
const NOT_FOLLOWED = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((relation) => `--no-${relation}`);

/** Runs a program of the set-up to its end; a failure names it and what it said last. */
export async function must(file: string, args: readonly string[], cwd?: string): Promise<string> {
  const result = await runCommand(file, args, { timeoutMs: COMMAND_MS, maxOutputBytes: 64 << 20, ...(cwd === undefined ? {} : { cwd }) });
  if (result.code === 0) return result.stdout;
  const why =
    lastLines(result.stderr || result.stdout, 2).replaceAll('\n', '; ') ||
    (result.timedOut ? 'no end within its time' : `exit ${result.code}`);
  throw new RegentError('RELEASE_NOT_FETCHED', `${file} failed: ${why}`);
}

/** The code name of the release that this machine runs. */
async function ownRelease(): Promise<string> {
  return /^VERSION_CODENAME=(\S+)/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? 'without a name';
}

/** Where this machine gets Debian itself from, as its apt reads its own configuration. */
async function mirror(): Promise<string> {
  const own = await ownRelease();
  const rows = await must('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)', 'Created-By: Packages']);
  const row = rows.split('\n').find((one) => one.endsWith(` ${own} main`));
  if (row === undefined) throw new RegentError('RELEASE_NOT_FETCHED', `apt here has no source of Debian ${own}, section main`);
  return row.split(' ')[0]!;
}

/** apt with a world of its own below `directory`. The machine's proxy and other settings hold. */
async function aptOptions(release: string, directory: string): Promise<readonly string[]> {
  await mkdir(join(directory, 'state', 'lists', 'partial'), { recursive: true });
  await mkdir(join(directory, 'cache', 'archives', 'partial'), { recursive: true });
  await writeFile(join(directory, 'status'), '');
  const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
  await writeFile(join(directory, 'sources.list'), `deb ${signed}${await mirror()} ${release} main\n`);
  const options = {
    'Dir::Etc::sourcelist': join(directory, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferencesparts': '-',
    'Dir::State': join(directory, 'state'),
    'Dir::State::status': join(directory, 'status'),
    'Dir::Cache': join(directory, 'cache'),
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': '',
  };
  return Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

async function unpack(packages: readonly string[], options: readonly string[], root: string, scratch: string): Promise<void> {
  const debs = join(scratch, 'debs');
  await mkdir(debs);
  await must('apt-get', [...options, 'download', '-q=2', ...packages], debs);
  for (const deb of await readdir(debs)) await must('dpkg-deb', ['-x', join(debs, deb), root]);
}

/**
 * Unpacks packages of a release, with what they need, below `root`. The caller removes `scratch`.
 */
export async function unpackPackages(release: string, packages: readonly string[], root: string, scratch: string): Promise<void> {
  const options = await aptOptions(release, scratch);
  await must('apt-get', [...options, 'update', '-q=2', '--error-on=any']);
  const dependencies = parseDependencies(await must('apt-cache', [...options, 'depends', '--recurse', ...NOT_FOLLOWED, ...packages]));
  await unpack(closure(packages, dependencies), options, root, scratch);
}

/** Packages of this machine's own release, without what they need: it is there. */
export async function unpackOwnPackages(packages: readonly string[], root: string, scratch: string): Promise<void> {
  const options = await aptOptions(await ownRelease(), scratch);
  await must('apt-get', [...options, 'update', '-q=2', '--error-on=any']);
  await unpack(packages, options, root, scratch);
}
