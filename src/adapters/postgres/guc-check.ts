/**
 * Has PostgreSQL judge settings before they reach a file that a server reads: one refused value
 * would keep it from starting. About 15 ms.
 */
import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { formatGuc, type Gucs } from '../../pgconf/guc.ts';
import { type Complaint, heed, parseComplaints } from '../../pgconf/guc-complaints.ts';
import { lastLines } from '../../support/exec.ts';
import type { Deps } from './deps.ts';
import { binary } from './programs.ts';
import { scratchDirectory } from './scratch.ts';

type CheckDeps = Pick<Deps, 'run' | 'log' | 'runAs'>;

const CHECK_TIMEOUT_MS = 5000;
/**
 * A clamped value may be refused in its turn, and unknown names hide bad values until they are
 * gone.
 */
const MAX_ROUNDS = 5;

export interface Judgement {
  readonly accepted: Readonly<Record<string, string>>;
  readonly complaints: readonly Complaint[];
  /** False: PostgreSQL could not be asked, and everything was passed. Ask again next time. */
  readonly judged: boolean;
}

/**
 * Drops what PostgreSQL does not know or cannot read, clamps what is out of range. Never throws.
 */
export async function checkGucs(deps: CheckDeps, settings: Settings, gucs: Gucs): Promise<Judgement> {
  const complaints: Complaint[] = [];
  let accepted: Record<string, string> = { ...gucs };
  try {
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const verdict = await ask(deps, settings, accepted);
      if (verdict === null) return { accepted, complaints, judged: true };
      let found = parseComplaints(verdict, accepted);
      if (found.length === 0) found = await oneByOne(deps, settings, accepted);
      // Refused together and good one by one: there is nothing to single out.
      if (found.length === 0) break;
      complaints.push(...found);
      accepted = heed(accepted, found);
    }
  } catch (error) {
    deps.log.warning('PostgreSQL settings were not checked', { reason: error instanceof Error ? error.message : String(error) });
    return { accepted, complaints, judged: false };
  }
  deps.log.warning('PostgreSQL refuses the settings for a reason that no single one of them explains');
  return { accepted, complaints, judged: true };
}

/** PostgreSQL's words, null when it takes them all. */
async function ask(deps: CheckDeps, settings: Settings, gucs: Gucs): Promise<string | null> {
  const directory = await scratchDirectory('check');
  try {
    const path = join(directory, 'postgresql.conf');
    const lines = Object.entries(gucs).map(([name, value]) => `${formatGuc(name, value)}\n`);
    await writeFile(path, lines.join(''), { mode: 0o600 });
    if (deps.runAs) for (const owned of [path, directory]) await chown(owned, deps.runAs.uid, deps.runAs.gid);
    // -C prints one setting and exits; the file is read and checked before, no server starts.
    const result = await deps.run(binary(settings, 'postgres'), ['-D', directory, '-C', 'port', '-c', 'lc_messages=C'], {
      timeoutMs: CHECK_TIMEOUT_MS,
      env: { LC_ALL: 'C', LANG: 'C' },
      cwd: directory,
    });
    if (result.code === 0) return null;
    if (!/configuration file .* contains errors/.test(result.stderr)) {
      throw new Error(lastLines(result.stderr, 2) || `postgres -C ended with ${result.code ?? result.signal}`);
    }
    return result.stderr;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * For complaints that do not name their setting (check functions of extensions word theirs freely).
 */
async function oneByOne(deps: CheckDeps, settings: Settings, gucs: Gucs): Promise<Complaint[]> {
  const complaints: Complaint[] = [];
  for (const [name, value] of Object.entries(gucs)) {
    const verdict = await ask(deps, settings, { [name]: value });
    if (verdict !== null) complaints.push({ name, message: lastLines(verdict, 2), instead: null });
  }
  return complaints;
}
