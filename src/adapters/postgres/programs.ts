/** PostgreSQL's programs as they are installed here. */
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { RegentError } from '../../support/errors.ts';
import { lastLines } from '../../support/exec.ts';
import type { Deps } from './deps.ts';
import { programNames } from './server-process.ts';

const VERSION_TIMEOUT_MS = 5000;

/** Path of one of PostgreSQL's programs, by bin_dir and bin_name. */
export function binary(settings: Settings, name: string): string {
  const file = settings.postgresql.binNames[name] ?? name;
  return settings.postgresql.binDir === '' ? file : join(settings.postgresql.binDir, file);
}

/** The names that the configured server's program may show. */
export function serverPrograms(settings: Settings): ReadonlySet<string> {
  return programNames(binary(settings, 'postgres'));
}

/** Major version of the installed programs. Throws PG_PROGRAM_UNUSABLE. */
export async function programMajor(deps: Pick<Deps, 'settings' | 'run'>): Promise<number> {
  const program = binary(deps.settings, 'postgres');
  const result = await deps.run(program, ['--version'], { timeoutMs: VERSION_TIMEOUT_MS, env: { LC_ALL: 'C' } });
  const major = /\b(\d{2})(?:\.\d+|devel|beta\d+|rc\d+)/.exec(result.stdout)?.[1];
  if (major !== undefined) return Number(major);
  throw new RegentError(
    'PG_PROGRAM_UNUSABLE',
    `${program} --version did not tell a version: ${lastLines(result.stderr || result.stdout, 2)}`,
    {
      mend: 'check postgresql.bin_dir and bin_name',
    },
  );
}
