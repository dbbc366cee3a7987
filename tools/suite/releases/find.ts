/** Where the tests find PostgreSQL of a major and Patroni of an age: what they run, or why not. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { RegentError } from '../../../src/support/errors.ts';
import { DEBIAN_POSTGRES, RELEASES, releaseRoot, whyMissing } from './catalog.ts';

export interface PostgresPrograms {
  readonly binDir: string;
  /** Programs of this major that could not be had: pg_rewind refuses any server but its own. */
  readonly lacks: readonly string[];
}

export type Found<T> = T | { readonly missing: string };

const PROGRAMS = ['postgres', 'initdb', 'pg_ctl', 'pg_basebackup', 'pg_rewind', 'pg_controldata'];

/** This machine's own packages first. */
export function postgresOf(major: number): Found<PostgresPrograms> {
  const installed = join('/', DEBIAN_POSTGRES, String(major), 'bin');
  if (existsSync(join(installed, 'postgres'))) return { binDir: installed, lacks: [] };
  const release = RELEASES.find((one) => (one.from === 'npm' ? one.major === major : one.packages.includes(`postgresql-${major}`)));
  if (release === undefined) return { missing: `nothing in the catalogue of releases has PostgreSQL ${major}` };
  const missing = whyMissing(release.name);
  if (missing !== null) return { missing };
  const root = releaseRoot(release.name);
  const binDir = release.from === 'npm' ? join(root, 'bin') : join(root, DEBIAN_POSTGRES, String(major), 'bin');
  return { binDir, lacks: PROGRAMS.filter((name) => !existsSync(join(binDir, name))) };
}

/** Throws RELEASE_NOT_FETCHED with the reason. */
export function binDirOf(major: number): string {
  const found = postgresOf(major);
  if ('missing' in found) throw new RegentError('RELEASE_NOT_FETCHED', found.missing);
  return found.binDir;
}

export interface PatroniPrograms {
  /** Command lines; arguments follow. */
  readonly patroni: readonly string[];
  readonly patronictl: readonly string[];
}

/** This machine's package. */
export const INSTALLED: PatroniPrograms = { patroni: ['/usr/bin/patroni'], patronictl: ['/usr/bin/patronictl'] };

/**
 * `installed` is this machine's package, `newest` the newest that the catalogue has, and otherwise
 * the name of a release. Those that are unpacked run under their release's Python.
 */
export function patroniOf(age: string): Found<PatroniPrograms> {
  if (age === 'installed') {
    return existsSync(INSTALLED.patroni[0]!) ? INSTALLED : { missing: 'the package patroni is not installed on this machine' };
  }
  const release = RELEASES.findLast((one) => hasPatroni(one) && (age === 'newest' || age === one.name));
  if (release === undefined) return { missing: `nothing in the catalogue of releases has the Patroni of '${age}'` };
  const missing = whyMissing(release.name);
  if (missing !== null) return { missing };
  const bin = join(releaseRoot(release.name), 'usr', 'bin');
  const command = (name: string) => [join(bin, 'python3'), join(bin, name)];
  return { patroni: command('patroni'), patronictl: command('patronictl') };
}

function hasPatroni(release: (typeof RELEASES)[number]): boolean {
  return release.from === 'debian' && release.packages.includes('patroni');
}
