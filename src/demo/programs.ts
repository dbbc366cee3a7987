/**
 * Which of the real programs this machine has, and whether they are new enough.
 *
 * Versions: PostgreSQL 13 to 18, etcd 3.4 and HAProxy 2.4 or newer (docs/ARCHITECTURE.md). Package
 * names are Debian's.
 */
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { lastLines, runCommand } from '../support/exec.ts';

export interface Program {
  readonly path: string;
  /** As the program prints it: `15.18`, `3.4.23`, `2.6.12`. */
  readonly version: string;
}

export interface Programs {
  /** Directory of initdb, postgres, pg_ctl, pg_basebackup, pg_rewind, pg_controldata. */
  readonly postgresBin: string;
  readonly postgresVersion: string;
  readonly etcd: Program;
  readonly haproxy: Program;
}

export interface MissingProgram {
  readonly what: 'PostgreSQL' | 'etcd' | 'HAProxy';
  /** What was looked for and what was found instead. */
  readonly reason: string;
  readonly debianPackages: readonly string[];
}

export interface Survey {
  readonly found: Partial<Programs>;
  readonly missing: readonly MissingProgram[];
}

export interface SurveyOptions {
  /** Looked through after `path`: daemons live in sbin, which an ordinary user's PATH lacks. */
  readonly path: string;
  /** Holds one directory a major version, each with a bin/: Debian's /usr/lib/postgresql. */
  readonly postgresRoots: readonly string[];
}

export const POSTGRES_OLDEST = 13;
export const POSTGRES_NEWEST = 18;
const ETCD_OLDEST: Version = [3, 4];
const HAPROXY_OLDEST: Version = [2, 4];
const POSTGRES_TOOLS = ['initdb', 'postgres', 'pg_ctl', 'pg_basebackup', 'pg_rewind', 'pg_controldata'];
const VERSION_TIMEOUT_MS = 10_000;

type Version = readonly [major: number, minor: number];

export function defaultSurvey(environment: Readonly<Record<string, string | undefined>>): SurveyOptions {
  return {
    path: [environment['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin'].join(delimiter),
    postgresRoots: ['/usr/lib/postgresql'],
  };
}

/** The first two numbers after `marker` in a program's version text; null when there are none. */
export function parseVersion(text: string, marker: RegExp): { readonly text: string; readonly version: Version } | null {
  const at = marker.exec(text);
  if (!at) return null;
  const numbers = /^\D{0,3}(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text.slice(at.index + at[0].length));
  if (!numbers) return null;
  const parts = numbers.slice(1).filter((part) => part !== undefined);
  return { text: parts.join('.'), version: [Number(numbers[1]), Number(numbers[2] ?? 0)] };
}

function isOlder(version: Version, oldest: Version): boolean {
  return version[0] < oldest[0] || (version[0] === oldest[0] && version[1] < oldest[1]);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function findInPath(name: string, path: string): Promise<string | null> {
  for (const directory of path.split(delimiter)) {
    if (directory !== '' && (await isExecutable(join(directory, name)))) return join(directory, name);
  }
  return null;
}

type Look<T> = { readonly found: T } | { readonly reason: string };

async function askVersion(file: string, args: readonly string[], marker: RegExp): Promise<Look<{ text: string; version: Version }>> {
  const result = await runCommand(file, args, { timeoutMs: VERSION_TIMEOUT_MS });
  const parsed = result.code === 0 ? parseVersion(result.stdout || result.stderr, marker) : null;
  return parsed
    ? { found: parsed }
    : { reason: `${file} did not tell its version: ${lastLines(result.stderr || result.stdout, 1) || `exit ${result.code}`}` };
}

async function lookForDaemon(name: string, args: readonly string[], marker: RegExp, oldest: Version, path: string): Promise<Look<Program>> {
  const file = await findInPath(name, path);
  if (file === null) return { reason: `no ${name} in PATH` };
  const answer = await askVersion(file, args, marker);
  if ('reason' in answer) return answer;
  const { text, version } = answer.found;
  if (isOlder(version, oldest)) return { reason: `${file} is ${text}, and ${oldest.join('.')} or newer is needed` };
  return { found: { path: file, version: text } };
}

async function postgresCandidates(options: SurveyOptions): Promise<string[]> {
  const candidates: string[] = [];
  for (const root of options.postgresRoots) {
    const majors = (await readdir(root).catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
    for (const major of majors.sort((one, other) => other - one)) candidates.push(join(root, String(major), 'bin'));
  }
  const inPath = await findInPath('postgres', options.path);
  if (inPath !== null) candidates.push(join(inPath, '..'));
  return candidates;
}

/** The newest PostgreSQL that is supported and complete. */
async function lookForPostgres(options: SurveyOptions): Promise<Look<{ bin: string; version: string }>> {
  const wanted = `PostgreSQL ${POSTGRES_OLDEST} to ${POSTGRES_NEWEST}`;
  const refused: string[] = [];
  for (const bin of await postgresCandidates(options)) {
    const present = await Promise.all(POSTGRES_TOOLS.map((tool) => isExecutable(join(bin, tool))));
    const absent = POSTGRES_TOOLS.filter((_, index) => !present[index]);
    if (absent.length > 0) {
      // Debian leaves a directory with the client tools alone where only the client is installed.
      refused.push(`${bin} lacks ${absent.join(', ')}`);
      continue;
    }
    const answer = await askVersion(join(bin, 'postgres'), ['--version'], /PostgreSQL\) /);
    if ('reason' in answer) refused.push(answer.reason);
    else if (answer.found.version[0] < POSTGRES_OLDEST || answer.found.version[0] > POSTGRES_NEWEST)
      refused.push(`${bin} is ${answer.found.text}`);
    else return { found: { bin, version: answer.found.text } };
  }
  const where = [...options.postgresRoots, 'PATH'].join(' or ');
  return { reason: refused.length > 0 ? `${wanted} is needed, but ${refused.join('; ')}` : `no ${wanted} under ${where}` };
}

/** Never throws for what is missing: that is the answer. */
export async function surveyPrograms(options: SurveyOptions): Promise<Survey> {
  const [postgres, etcd, haproxy] = await Promise.all([
    lookForPostgres(options),
    lookForDaemon('etcd', ['--version'], /etcd Version: /, ETCD_OLDEST, options.path),
    lookForDaemon('haproxy', ['-v'], /HA-?Proxy version /, HAPROXY_OLDEST, options.path),
  ]);
  const missing: MissingProgram[] = [];
  if ('reason' in postgres) missing.push({ what: 'PostgreSQL', reason: postgres.reason, debianPackages: ['postgresql'] });
  if ('reason' in etcd) missing.push({ what: 'etcd', reason: etcd.reason, debianPackages: ['etcd-server', 'etcd-client'] });
  if ('reason' in haproxy) missing.push({ what: 'HAProxy', reason: haproxy.reason, debianPackages: ['haproxy'] });
  return {
    found: {
      ...('found' in postgres ? { postgresBin: postgres.found.bin, postgresVersion: postgres.found.version } : {}),
      ...('found' in etcd ? { etcd: etcd.found } : {}),
      ...('found' in haproxy ? { haproxy: haproxy.found } : {}),
    },
    missing,
  };
}
