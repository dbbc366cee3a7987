import { createHash } from 'node:crypto';
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guardFailed } from './connection.ts';

/** sun_path holds 108 bytes with its closing zero (Linux, unix(7)). */
const LONGEST_SOCKET_PATH = 107;

/** Where the guard of one data directory lives: `<directory>/<key>.sock|lock`. */
export interface GuardPlace {
  readonly directory: string;
  readonly key: string;
  readonly socket: string;
}

const LONGEST_LABEL = 100;

/**
 * The log is what people look for: `<cluster>-<member>-<key>.log`. The socket keeps to the key, by
 * which every version of the agent finds it.
 */
export function logName({ key }: GuardPlace, label: string): string {
  const readable = label.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, LONGEST_LABEL);
  return readable === '' ? key : `${readable}-${key}`;
}

/** Whether that file in the directory is this guard's: socket, lock, or log by any label. */
export const isFileOf = ({ key }: GuardPlace, name: string): boolean => name.startsWith(`${key}.`) || name.endsWith(`-${key}.log`);

/**
 * The places a guard of this user and data directory may be found, best first. XDG_RUNTIME_DIR
 * counts only when it belongs to that user. An agent that is started with another environment than
 * its predecessor still looks in the others.
 */
export function guardPlaces(dataDir: string, uid: number, xdgRuntimeDir: string | undefined): readonly GuardPlace[] {
  const key = createHash('sha256').update(realPath(dataDir)).digest('hex').slice(0, 16);
  const usual = `/run/user/${uid}`;
  const given = xdgRuntimeDir !== undefined && ownedBy(xdgRuntimeDir, uid) ? [xdgRuntimeDir] : [];
  const bases = new Set([...given, '/tmp', ...(ownedBy(usual, uid) ? [usual] : [])]);
  return [...bases]
    .map((base) => join(base, `regent-${uid}`))
    .map((directory) => ({ directory, key, socket: join(directory, `${key}.sock`) }))
    .filter((place) => Buffer.byteLength(place.socket) <= LONGEST_SOCKET_PATH);
}

/**
 * Throws GUARD_FAILED when somebody else could sit in the place. True: it is there. False: it is
 * not there yet; the guard makes it.
 */
export function verifyPlace(place: GuardPlace, uid: number): boolean {
  const stat = lstatSync(place.directory, { throwIfNoEntry: false });
  if (!stat) return false;
  if (stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0) return true;
  throw guardFailed(
    `${place.directory} is not a directory of user id ${uid} with mode 0700`,
    `remove ${place.directory}, or set XDG_RUNTIME_DIR to a directory of the agent's user`,
  );
}

/**
 * The real path even while the last parts of it do not exist: a directory yet to be made keeps its
 * key afterwards.
 */
function realPath(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return realpathSync(absolute);
  const parent = dirname(absolute);
  return parent === absolute ? absolute : join(realPath(parent), basename(absolute));
}

function ownedBy(path: string, uid: number): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === uid;
}

/**
 * Beside this module in the sources; beside the bundle, or one folder up from a chunk of it, once
 * built.
 */
export function findGuardScript(moduleUrl: string): string {
  const candidates = ['./guard.pl', '../guard.pl'].map((path) => fileURLToPath(new URL(path, moduleUrl)));
  const found = candidates.find((path) => existsSync(path));
  if (found) return found;
  throw guardFailed(
    `guard.pl is missing (looked for ${candidates.join(', ')})`,
    'install Regent again: guard.pl belongs beside the program',
  );
}
