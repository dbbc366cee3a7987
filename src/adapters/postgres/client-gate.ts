/**
 * A server that is started while clients must wait reads its access rules from a link of Regent's.
 * First the link leads to rules that let in replication and the agent only. To let clients in, it
 * is led to the node's own pg_hba.conf, which nobody has touched, and the server reloads. From then
 * on the node's own rules count, and changes of them as well.
 */
import { lchown, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { onlyForReplicationAnd } from '../../pgconf/hba.ts';
import { hbaPath } from '../../pgconf/server-config.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { readText, writeFileAtomic } from './atomic-file.ts';
import { syncDirectory } from './file-steps.ts';
import { type LocalServer, settingsInRole } from './local-server.ts';
import { markPath, markPaths, removeMark } from './marks.ts';
import { reloadServer } from './reload.ts';

const HEADER =
  '# Regent wrote this file. It is in force after a start of this primary, until enough standbys have confirmed\n' +
  '# what its recovery brought back. Then the rules of pg_hba.conf are.\n';

/** Where the server finds its rules; and where the closed ones lie. */
export interface Gate {
  readonly link: string;
  readonly closed: string;
}

type GateServer = Pick<LocalServer, 'settings' | 'role' | 'log' | 'runAs'>;

export const isGateLink = (path: string): boolean => path.endsWith('.regent-hba');

/** Null: it cannot be closed, and why was logged. Clients are let in at once then. */
export async function closeGate(server: GateServer): Promise<Gate | null> {
  const { log, runAs } = server;
  const settings = settingsInRole(server);
  const { dataDir, superuser, rewind } = settings.postgresql;
  // A standby whose confirmation is waited for may have to be rewound first.
  const roles = [...new Set([superuser.username, rewind.username])].filter((role) => role !== '');
  try {
    const text = await readText(hbaPath(settings));
    const rules = text === null ? null : onlyForReplicationAnd(roles, text);
    if (rules === null) {
      log.warning(`clients are let in before what was recovered is confirmed: ${hbaPath(settings)} has rules that cannot be narrowed`);
      return null;
    }
    const gate = { link: await markPath(dataDir, 'hba'), closed: await markPath(dataDir, 'closed-hba') };
    await writeFileAtomic(gate.closed, `${HEADER}${rules}`, { mode: 0o600, ...(runAs && { owner: runAs }) });
    await lead(gate.link, gate.closed, server);
    return gate;
  } catch (error) {
    log.warning(`clients are let in before what was recovered is confirmed: ${ensureError(error).message}`);
    return null;
  }
}

/**
 * The running server lets clients in from here on. Throws what a reload throws, CLIENT_GATE_FAILED.
 */
export async function openGate(server: LocalServer, options: Bounded): Promise<void> {
  const { watch } = server;
  const settings = settingsInRole(server);
  for (const link of await closedLinks(settings)) await lead(link, hbaPath(settings), server);
  const postmaster = watch.current(settings.postgresql.dataDir);
  if (postmaster !== null) await reloadServer(server, postmaster, options);
  server.clientsOut = false;
}

/** Whether a server that was started through the gate keeps clients out. */
export async function isGateClosed(settings: Settings): Promise<boolean> {
  return (await closedLinks(settings)).length > 0;
}

/** For a start without it, and before anybody else works in the directory. */
export async function removeGate(settings: Settings): Promise<void> {
  const { dataDir } = settings.postgresql;
  await removeMark(dataDir, 'hba');
  await removeMark(dataDir, 'closed-hba');
}

async function closedLinks({ postgresql: { dataDir } }: Settings): Promise<string[]> {
  const closed = await markPaths(dataDir, 'closed-hba');
  const found: string[] = [];
  for (const link of await markPaths(dataDir, 'hba')) {
    const target = await readlink(link).catch(() => null);
    if (target !== null && closed.includes(target)) found.push(link);
  }
  return found;
}

/** A link is led elsewhere in one step: the server finds the one file or the other. */
async function lead(link: string, target: string, { runAs }: Pick<GateServer, 'runAs'>): Promise<void> {
  const temporary = `${link}.new`;
  try {
    await rm(temporary, { force: true });
    await symlink(target, temporary);
    if (runAs !== null) await lchown(temporary, runAs.uid, runAs.gid);
    await rename(temporary, link);
    await syncDirectory(dirname(link));
  } catch (error) {
    throw new RegentError('CLIENT_GATE_FAILED', `${link} could not be led to ${target}: ${ensureError(error).message}`, {
      policy: codeOf(error) === 'ENOSPC' ? 'transient' : 'operator',
      mend: 'make the directory that holds the data directory writable for the user Regent runs as',
      cause: error,
    });
  }
}
