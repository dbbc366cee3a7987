/**
 * Where a server's configuration comes from: an agent that wrote it, or somebody who keeps it
 * elsewhere (Debian: /etc/postgresql/15/main).
 */
import { isAbsolute, join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { confName, confPath, USUAL_CONF } from '../../pgconf/conf-place.ts';
import { parseConf } from '../../pgconf/guc.ts';
import { isGenerated } from '../../pgconf/server-config.ts';
import { readText } from './atomic-file.ts';
import { isSamePath } from './doors.ts';

/**
 * An agent (Regent or Patroni) has written the configuration this server runs with, or will be
 * started with.
 */
export async function isManaged(settings: Settings): Promise<boolean> {
  const { dataDir } = settings.postgresql;
  const conf = confName(settings);
  const usual = [confPath(settings), join(dataDir, conf), join(dataDir, `${conf}.backup`)];
  const started = await lastConfigFile(dataDir);
  for (const path of started === null ? usual : [...usual, started]) {
    const text = await readText(path).catch(() => null);
    if (text !== null && isGenerated(text)) return true;
  }
  return false;
}

/**
 * postgresql.conf of the last start, by postmaster.opts, which outlives the server and is not part
 * of a base backup; null: not told.
 */
export async function lastConfigFile(dataDir: string): Promise<string | null> {
  const words = optionWords((await readText(join(dataDir, 'postmaster.opts')).catch(() => null)) ?? '');
  let directory: string | null = null;
  for (const [i, word] of words.entries()) {
    const given = /^(?:-c|--)?config[_-]file=(.+)$/s.exec(word)?.[1];
    if (given !== undefined) return isAbsolute(given) ? given : null;
    if (word === '-D') directory = words[i + 1] ?? null;
    else if (/^-D./.test(word)) directory = word.slice(2);
  }
  return directory !== null && isAbsolute(directory) ? join(directory, USUAL_CONF) : null;
}

/**
 * synchronous_standby_names as an agent has written it; null: none has, or the file cannot be read.
 */
export async function namesInFiles(settings: Settings): Promise<string | null> {
  const text = await readText(confPath(settings)).catch(() => null);
  return text !== null && isGenerated(text) ? (parseConf(text)['synchronous_standby_names'] ?? null) : null;
}

/**
 * The running server was started on a file in another place than ours. Until it is restarted, it
 * reads nothing of what is written to ours.
 */
export async function readsElsewhere(settings: Settings): Promise<boolean> {
  const file = await lastConfigFile(settings.postgresql.dataDir);
  return file !== null && !isUsual(settings, file);
}

export function isUsual(settings: Settings, file: string): boolean {
  return isSamePath(file, confPath(settings));
}

/**
 * The program, and each argument in double quotes (CreateOptsFile() of PostgreSQL, which escapes
 * nothing).
 */
function optionWords(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"/g)].map((match) => match[1]!);
}
