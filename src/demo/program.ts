/** Our own program as another user can run it. */
import { chmod, copyFile, mkdir, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RegentError } from '../support/errors.ts';
import { runCommand } from '../support/exec.ts';
import type { Identity } from './identity.ts';
import { FILES } from './plan.ts';

const TRY_TIMEOUT_MS = 20_000;

/** The bundle's entry that is running now. */
export function runningEntry(): Promise<string> {
  return realpath(process.argv[1] ?? '');
}

export function ctlEntry(entry: string): string {
  return join(dirname(entry), 'regentctl.js');
}

async function canRun(entry: string, identity: Identity): Promise<boolean> {
  const result = await runCommand(process.execPath, [entry, 'version'], {
    timeoutMs: TRY_TIMEOUT_MS,
    uid: identity.uid,
    gid: identity.gid,
    cwd: '/',
  }).catch(() => null);
  return result?.code === 0;
}

/**
 * The entry to start as that user. It is ours, or a copy in the demo's directory when ours lies
 * where only root may look (a clone in /root). The directory must exist already and be that user's.
 */
export async function entryFor(identity: Identity, directory: string): Promise<string> {
  const entry = await runningEntry();
  if (await canRun(entry, identity)) return entry;
  const target = join(directory, FILES.program);
  await mkdir(target, { recursive: true });
  await chmod(target, 0o755);
  for (const name of await readdir(dirname(entry))) {
    if (!/\.(js|pl|json)$/.test(name)) continue;
    await copyFile(join(dirname(entry), name), join(target, name));
    await chmod(join(target, name), 0o755);
  }
  const copy = join(target, basename(entry));
  if (await canRun(copy, identity)) return copy;
  throw new RegentError('NODE_OUT_OF_REACH', `the user ${identity.name} cannot run ${process.execPath}, or cannot reach ${directory}`, {
    mend: 'install Node where everybody may run it (apt-get install nodejs), choose a --dir everybody may pass to, or run the demo as an ordinary user',
  });
}
