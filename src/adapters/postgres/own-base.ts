/**
 * postgresql.base.conf is the node's own: what fits this machine. A clone brings another node's
 * along, with the places of that node's files in it. So this node's is kept as a mark (marks.ts)
 * while the data directory is made again. Where there is none, what is true of the other node only
 * is taken out of the copy.
 */
import { isAbsolute, join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { baseConfName, confName } from '../../pgconf/conf-place.ts';
import { isGenerated } from '../../pgconf/server-config.ts';
import type { Log } from '../../ports/log.ts';
import { fileMode, readText, writeFileAtomic } from './atomic-file.ts';
import { basePath, configPath } from './base-place.ts';
import { restoreConfigFiles } from './conf-backup.ts';
import { inspectDataDir, parseMajor } from './data-dir.ts';
import type { Owner } from './deps.ts';
import { exists } from './file-steps.ts';
import { disowned, flattened } from './flatten.ts';
import { readMark, removeMark, writeMark } from './marks.ts';

const VERSION_LINE = /^# kept from PostgreSQL (\d+)\n/;

/**
 * Before the data directory is removed or rewound. Durable once it returns. Throws
 * DATA_DIR_MARK_FAILED.
 */
export async function keepOwnBase(settings: Settings, owner: Owner | null): Promise<void> {
  const { dataDir } = settings.postgresql;
  const path = await basePath(settings);
  if (!isWithin(path, dataDir)) return;
  const { state, major } = await inspectDataDir(dataDir);
  // A half-made copy has its source's; before a rewind began, this node's was kept.
  if (major === null || state !== 'valid') return;
  const text = await flattened(path).catch(() => readText(path));
  if (text === null) return;
  await writeMark(dataDir, 'base.conf', `# kept from PostgreSQL ${major}\n${text}`, owner);
}

/** After a copy was made, before it counts as whole. Throws FILE_WRITE_FAILED. */
export async function settleBase(settings: Settings, log: Log, owner: Owner | null): Promise<void> {
  const { configDir, dataDir } = settings.postgresql;
  const restored = await restoreConfigFiles(settings, owner);
  const put = async (path: string, text: string) => {
    await writeFileAtomic(path, text, { mode: await fileMode(path, dataDir), owner: owner ?? undefined });
  };
  const base = await basePath(settings);
  const kept = isWithin(base, dataDir) ? await keptBase(dataDir) : null;
  if (kept !== null) return put(base, kept);
  for (const name of [baseConfName(settings), confName(settings)]) {
    const path = await configPath(settings, name);
    if (!isWithin(path, dataDir) && !restored.includes(path)) continue;
    const text = await readText(path);
    if (text === null || isGenerated(text)) continue;
    const own = await disowned(text, (included) => exists(isAbsolute(included) ? included : join(configDir, included)));
    if (own.removed.length === 0) continue;
    await put(path, own.text);
    log.info(`${path} came with the copy; what is true of its node only was taken out`, { settings: own.removed });
  }
}

/** Once the copy is whole. */
export async function forgetKeptBase(dataDir: string): Promise<void> {
  await removeMark(dataDir, 'base.conf');
}

/** Null: none, or of another major version, which may not know its settings. */
async function keptBase(dataDir: string): Promise<string | null> {
  const text = (await readMark(dataDir, 'base.conf')).texts[0] ?? null;
  const version = VERSION_LINE.exec(text ?? '');
  const major = parseMajor((await readText(join(dataDir, 'PG_VERSION'))) ?? '');
  return text === null || version === null || Number(version[1]) !== major ? null : text.slice(version[0].length);
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory.replace(/\/+$/, '')}/`);
}
