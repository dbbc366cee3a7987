/** Removes what a demo made, and nothing else. */
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import { guardPlaces, isFileOf } from '../adapters/guard/place.ts';
import { runCommand } from '../support/exec.ts';
import { draftedName } from './files.ts';
import { type DemoPlan, FILES } from './plan.ts';

/**
 * Everything a demo puts into its directory; the marker comes last, for with it goes the right to
 * remove.
 */
export function entriesOf(plan: DemoPlan): string[] {
  return [
    ...plan.nodes.map((node) => node.directory),
    ...plan.etcd.map((member) => member.directory),
    plan.runDir,
    plan.logDir,
    plan.haproxy.configFile,
    plan.router.configFile,
    plan.ctlFile,
    ...[FILES.program, FILES.state, FILES.marker].map((name) => join(plan.directory, name)),
  ];
}

/** The shared memory segment a postmaster noted in line 7 of its postmaster.pid: `key id`. */
export function sharedMemoryId(postmasterPid: string): string | null {
  return /^\s*\d+\s+(\d+)\s*$/.exec(postmasterPid.split('\n')[6] ?? '')?.[1] ?? null;
}

/**
 * Whether nobody is attached; columns of /proc/sysvipc/shm are key, shmid, perms, size, cpid, lpid,
 * nattch.
 */
export function isUnattached(table: string, id: string): boolean {
  const row = table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((fields) => fields[1] === id);
  return row?.[6] === '0';
}

/**
 * A postmaster killed with -9 leaves its segment; the next start would take it away, but there will
 * be none.
 */
async function freeSharedMemory(dataDir: string): Promise<void> {
  const noted = sharedMemoryId(await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => ''));
  const table = await readFile('/proc/sysvipc/shm', 'utf8').catch(() => '');
  if (noted === null || !isUnattached(table, noted)) return;
  await runCommand('ipcrm', ['-m', noted], { timeoutMs: 5000 }).catch(() => null);
}

/** A guard that was killed, as with its whole node, leaves its socket, lock and log. */
export async function removeGuardFiles(dataDir: string, uid: number, xdgRuntimeDir: string | undefined): Promise<void> {
  for (const place of guardPlaces(dataDir, uid, xdgRuntimeDir)) {
    const names = await readdir(place.directory).catch((): string[] => []);
    for (const name of names.filter((one) => isFileOf(place, one))) await rm(join(place.directory, name), { force: true });
  }
}

/**
 * Nothing of the demo may run any more. Resolves to what others left in the directory, which then
 * stays.
 */
export async function removeFiles(plan: DemoPlan, removeDirectory: boolean): Promise<string[]> {
  for (const { dataDir } of plan.nodes) {
    await freeSharedMemory(dataDir);
    await removeGuardFiles(dataDir, process.getuid?.() ?? 0, process.env['XDG_RUNTIME_DIR']);
  }
  const entries = entriesOf(plan);
  const made = new Set(entries.map((path) => basename(path)));
  const isDraft = (name: string) => made.has(draftedName(name) ?? '');
  const drafts = (await readdir(plan.directory).catch((): string[] => [])).filter(isDraft);
  for (const path of [...drafts.map((name) => join(plan.directory, name)), ...entries]) await rm(path, { recursive: true, force: true });
  const foreign = await readdir(plan.directory).catch(() => []);
  // A parent that is not ours to write to keeps its empty child: no harm, and nothing of the demo.
  if (removeDirectory && foreign.length === 0) await rmdir(plan.directory).catch(() => {});
  return foreign;
}
