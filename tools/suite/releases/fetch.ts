/**
 * Brings what the catalogue names, once; later runs find it. What cannot be had leaves its reason
 * behind, and the tests that need it say so and are skipped.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RegentError } from '../../../src/support/errors.ts';
import { must, unpackOwnPackages, unpackPackages } from './apt.ts';
import { RELEASES, type Release, refusalFile, releaseRoot, releasesDirectory, whyMissing } from './catalog.ts';
import { unpackServer } from './embedded.ts';
import { binDirOf, patroniOf } from './find.ts';
import { relink } from './relink.ts';

export interface FetchTerms {
  /** False: nothing is downloaded. */
  readonly allowed: boolean;
  readonly say: (line: string) => void;
}

/** Never throws for what cannot be had. Resolves to the names of what is missing, with reasons. */
export async function ensureReleases(terms: FetchTerms): Promise<ReadonlyArray<{ readonly name: string; readonly reason: string }>> {
  for (const release of RELEASES) {
    if (!terms.allowed || whyMissing(release.name) === null) continue;
    const begun = performance.now();
    terms.say(`downloading ${describe(release)} ...`);
    try {
      await fetchRelease(release);
      terms.say(`  unpacked into ${releaseRoot(release.name)} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    } catch (error) {
      await mkdir(releasesDirectory(), { recursive: true });
      await writeFile(
        refusalFile(release.name),
        `${describe(release)} could not be fetched: ${error instanceof Error ? error.message : error}\n`,
      );
    }
  }
  return RELEASES.flatMap(({ name }) => {
    const reason = whyMissing(name);
    return reason === null ? [] : [{ name, reason }];
  });
}

function describe(release: Release): string {
  return release.from === 'debian' ? `${release.packages.join(', ')} of Debian ${release.name}` : release.spec;
}

async function fetchRelease(release: Release): Promise<void> {
  await mkdir(releasesDirectory(), { recursive: true });
  const scratch = await mkdtemp(join(releasesDirectory(), '.scratch-'));
  const root = join(scratch, 'root');
  const place = releaseRoot(release.name);
  try {
    await mkdir(root);
    if (release.from === 'debian') {
      await unpackPackages(release.name, release.packages, root, join(scratch, 'apt'));
      await relink(root, place, await patchelf(scratch));
    } else {
      await unpackServer(release, binDirOf(release.clients), root, join(scratch, 'npm'));
    }
    // PostgreSQL's user runs the programs, whatever our umask is.
    await must('chmod', ['a+rx', releasesDirectory()]);
    await must('chmod', ['-R', 'a+rX', root]);
    await rename(root, place);
    await rm(refusalFile(release.name), { force: true });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await tryOut(release).catch(async (error: unknown) => {
    await rm(place, { recursive: true, force: true });
    throw error;
  });
}

/** Path of the program, fetched the first time. */
async function patchelf(scratch: string): Promise<string> {
  const place = join(releasesDirectory(), 'tools');
  if (!existsSync(place)) {
    const root = join(scratch, 'tools');
    await unpackOwnPackages(['patchelf'], root, join(scratch, 'own-apt'));
    await rename(root, place);
  }
  return join(place, 'usr', 'bin', 'patchelf');
}

/** A program that starts has found its loader and its libraries. */
async function tryOut(release: Release): Promise<void> {
  const majors = release.from === 'npm' ? [release.major] : release.packages.flatMap((name) => /^postgresql-(\d+)$/.exec(name)?.[1] ?? []);
  for (const major of majors) {
    for (const program of ['postgres', 'initdb', 'pg_basebackup', 'pg_controldata'])
      await must(join(binDirOf(Number(major)), program), ['--version']);
  }
  if (release.from !== 'debian' || !release.packages.includes('patroni')) return;
  const patroni = patroniOf(release.name);
  if ('missing' in patroni) throw new RegentError('RELEASE_NOT_FETCHED', patroni.missing);
  for (const [file, ...args] of [patroni.patroni, patroni.patronictl]) await must(file!, [...args, '--help']);
  await must(patroni.patroni[0]!, ['-c', 'import patroni.dcs.etcd3']);
}
