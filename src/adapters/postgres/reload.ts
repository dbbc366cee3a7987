/** Writes the configuration files and has the running server take them up. */

import type pg from 'pg';
import type { ServerRole } from '../../core/effects.ts';
import { roleNameOf, settingsFor } from '../../core/role-settings.ts';
import { carriedSyncNames } from '../../core/server-names.ts';
import { sleep } from '../../ports/clock.ts';
import type { ApplyOutcome, Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { accessJudge } from './access-judge.ts';
import { saveConfigBackups } from './conf-backup.ts';
import type { Scope, WriteOutcome } from './conf-writer.ts';
import type { ControlData } from './control-data.ts';
import { inspectDataDir } from './data-dir.ts';
import type { HeldProcess } from './detect.ts';
import { type LocalServer, runner } from './local-server.ts';
import { namesInFiles, readsElsewhere } from './origin.ts';
import { binary } from './programs.ts';
import { askStandbysAgain } from './release-waiting.ts';
import { keepOrigin } from './takeover.ts';

const LOOK_MS = 5;
/**
 * How often the checkpointer must be seen at a place where it takes up signals, and how far apart.
 */
const CHECKPOINTER_LOOKS = 2;
const CHECKPOINTER_LOOK_MS = 20;
/**
 * Before 14 the checkpointer shows nothing while it sleeps between writes, 0.1 s at a time. It
 * syncs files under another event.
 */
const NAP_IS_SHOWN_SINCE = 14;
const NAP_LOOKS = 15;
/**
 * How long a look at a primary's checkpointer may hold a round up when nothing was changed. It
 * comes again.
 */
const GLANCE_MS = 500;

/**
 * One file that cannot be written keeps no other from being written; the outcome says what became
 * of each.
 */
export async function writeFiles(
  server: LocalServer,
  role: ServerRole,
  major: number,
  control: ControlData | null,
  scope: Scope = 'all',
): Promise<WriteOutcome> {
  const owed = server.owesReload;
  const wanted = roleNameOf(role);
  const settings = settingsFor(server.settings, wanted);
  const { configDir, dataDir } = settings.postgresql;
  const running = server.watch.current(dataDir) !== null;
  const first = server.role === null && configDir !== dataDir && running;
  // A standby that somebody else set up has its source nowhere else.
  const autoConf = running && (await readsElsewhere(settings)) ? 'leave' : 'clean';
  const kept = await keepOrigin({ ...server, settings });
  // Of several files the first may be written and the next not.
  server.owesReload = true;
  const limits = control?.limits ?? null;
  const judge = accessJudge(server);
  const outcome = await server.writer.writeServerFiles(settings, role, server.syncNames, major, limits, scope, autoConf, judge);
  // The next caller then signals too often, rather than too rarely.
  server.owesReload = owed || outcome.changed || outcome.ofRole !== null;
  if (outcome.ofRole === null) server.role = role;
  if (scope === 'all') server.filesFor = outcome.ofRole === null && outcome.notWritten.length === 0 ? wanted : null;
  // A clone has only the copies in the data directory. Otherwise they are made at the next start.
  if (!kept && !(first && outcome.changed)) return outcome;
  const reason = await saveConfigBackups(settings, server.runAs).then(
    () => null,
    (error: unknown) => ensureError(error).message,
  );
  return reason === null ? outcome : { ...outcome, notWritten: [...outcome.notWritten, reason] };
}

/**
 * Throws DATA_DIR_UNUSABLE, PG_RELOAD_TIMEOUT, and what a connection throws. Where the role could
 * not be written it throws too, after PostgreSQL took up what is in the files.
 */
export async function applyConfig(
  server: LocalServer,
  role: ServerRole,
  options: Bounded & { readonly only?: 'role' },
): Promise<ApplyOutcome> {
  const { settings, watch } = server;
  const major = await majorOf(server);
  const postmaster = watch.current(settings.postgresql.dataDir);
  const control = await limitsFor(server, role, postmaster, options.timeoutMs);
  const { changed, notWritten, ofRole } = await writeFiles(server, role, major, control, options.only ?? 'all');
  const asked = server.reloadAsked;
  await forgetIfEmptied(server);
  const reloaded = (server.owesReload || asked) && postmaster !== null && (ofRole === null || changed);
  if (reloaded) await reloadServer(server, postmaster, options);
  if (ofRole !== null) throw ofRole;
  return { changed: changed || (asked && reloaded), reloaded, notWritten };
}

/** The checkpointer may take that up; from then on commits wait for none. */
async function forgetIfEmptied(server: LocalServer): Promise<void> {
  if (((await namesInFiles(server.settings)) ?? '') === '') server.namesObeyed = false;
}

async function majorOf(server: LocalServer): Promise<number> {
  const { dataDir } = server.settings.postgresql;
  const { major, state } = await inspectDataDir(dataDir);
  if (major === null) throw new RegentError('DATA_DIR_UNUSABLE', `${dataDir} is not a data directory of PostgreSQL (${state})`);
  return major;
}

/** The limits matter for starting a standby only; those of a running server cannot change. */
async function limitsFor(
  server: LocalServer,
  role: ServerRole,
  postmaster: HeldProcess | null,
  timeoutMs: number,
): Promise<ControlData | null> {
  if (role.kind === 'primary' || postmaster !== null) return null;
  const { settings, runAs } = server;
  return server.control.read(settings.postgresql.dataDir, binary(settings, 'pg_controldata'), runner(runAs), timeoutMs);
}

/**
 * Returns once a backend has taken up the new files. A server that does not accept connections is
 * signalled only; it reads its files anyway before it does.
 */
export async function reloadServer(server: LocalServer, postmaster: HeldProcess, options: Bounded): Promise<void> {
  const deadline = server.clock.monotonicMs() + options.timeoutMs;
  const { heartbeat, settings } = server;
  let signalled = false;
  const signal = () => {
    signalled = true;
    signalReload(server, postmaster);
  };
  try {
    await heartbeat.use(settings, { ...options, applicationName: 'Regent reload' }, async (client) => {
      // One that fell silent just now is signalled nevertheless, and takes the signal up when it
      // goes on.
      const before = await loadedAt(client).catch(() => null);
      signal();
      if (before === null) return;
      await until(server, { deadline, signal: options.signal }, async () => (await loadedAt(client)) !== before);
    });
  } catch (error) {
    if (signalled) throw error;
    signal();
  }
}

function signalReload(server: LocalServer, postmaster: HeldProcess): void {
  postmaster.signal('SIGHUP');
  server.owesReload = false;
  server.reloadAsked = false;
}

async function loadedAt(client: pg.Client): Promise<string> {
  return (await client.query<{ at: string }>('SELECT pg_conf_load_time()::text AS at')).rows[0]!.at;
}

interface Patience {
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
}

async function until(server: LocalServer, { deadline, signal }: Patience, done: () => Promise<boolean>, late = notTakenUp): Promise<void> {
  while (!(await done())) {
    if (signal?.aborted || server.clock.monotonicMs() >= deadline) throw late();
    await sleep(server.clock, LOOK_MS, signal);
  }
}

const notTakenUp = () =>
  new RegentError('PG_RELOAD_TIMEOUT', 'PostgreSQL did not take up its new configuration in time', {
    policy: 'transient',
    mend: "PostgreSQL's log names the setting it refuses, if it is that",
  });

const notObeyed = () =>
  new RegentError(
    'PG_RELOAD_TIMEOUT',
    "PostgreSQL's checkpointer is busy and has not been seen to take up synchronous_standby_names: commits may not wait yet",
    { policy: 'transient', mend: 'it syncs files to disk: if this lasts, look at what slows the disk' },
  );

/**
 * Writes synchronous_standby_names and returns once commits obey it. If the value is in force and
 * only that is not known, looks and changes nothing. On a stopped server, and on one whose role the
 * agent does not know yet (adopted, and in recovery), the value is kept. The next apply or start
 * uses it. Where PostgreSQL cannot be asked, the files and what was to be written to them next stay
 * as they were.
 */
export async function setSynchronousNames(server: LocalServer, names: string | null, options: Bounded): Promise<void> {
  const { settings, watch, clock } = server;
  const deadline = clock.monotonicMs() + options.timeoutMs;
  const postmaster = watch.current(settings.postgresql.dataDir);
  if (names === null || postmaster === null) server.syncNames = names;
  if (postmaster === null) return;
  const major = await majorOf(server);
  const value = names === null ? null : carriedSyncNames(names, major * 10_000);
  const asked = { ...options, applicationName: 'Regent sync names' };
  await server.heartbeat.use(settings, asked, async (client) => {
    const { names: before, recovery } = await currentNames(client);
    if (before === '') server.namesObeyed = false;
    server.syncNames = names;
    const role = server.role ?? (recovery ? null : ({ kind: 'primary' } as const));
    if (role === null) return;
    const { changed, ofRole } = await writeFiles(server, role, major, null, 'role');
    if (ofRole !== null) throw ofRole;
    if (value === null) {
      await forgetIfEmptied(server);
      if (changed) await reloadServer(server, postmaster, { ...options, timeoutMs: deadline - clock.monotonicMs() });
      return;
    }
    if (changed || before !== value) signalReload(server, postmaster);
    const { signal } = options;
    if (value === '') server.namesObeyed = false;
    await until(server, { deadline, signal }, async () => (await currentNames(client)).names === value);
    if (value === '') return;
    // In recovery too: a promotion may follow at once. What is not obeyed in time stays in force,
    // and nobody counts on it (SqlFacts.obeysSyncNames).
    if (!server.namesObeyed) {
      const glances = !recovery && !changed && before === value;
      const soon = glances ? Math.min(deadline, clock.monotonicMs() + GLANCE_MS) : deadline;
      await untilCheckpointerKnows(server, client, major, { deadline: soon, signal });
      server.namesObeyed = true;
    }
    if (!recovery && before !== value) await askStandbysAgain(server, client, value, options.signal);
  });
}

async function currentNames(client: pg.Client): Promise<{ names: string; recovery: boolean }> {
  const text = `SELECT current_setting('synchronous_standby_names') AS names, pg_is_in_recovery() AS recovery`;
  return (await client.query<{ names: string; recovery: boolean }>(text)).rows[0]!;
}

/**
 * Commits wait only when a flag in shared memory is set. The checkpointer sets it when it takes up
 * its SIGHUP (SyncRepUpdateSyncStandbysDefined). Until then commits return without waiting,
 * whatever the setting shows. It takes signals up in its main loop and between writes, not while it
 * syncs files, which may be long. No view shows the flag, so the agent watches the checkpointer
 * until it was twice where it must have taken the signal up.
 */
async function untilCheckpointerKnows(server: LocalServer, client: pg.Client, major: number, patience: Patience): Promise<void> {
  const text = `SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'checkpointer'`;
  let seen = 0;
  const knows = async () => {
    const { rows } = await client.query<{ wait_event: string | null }>(text);
    const event = rows[0]?.wait_event ?? null;
    const naps = event === null && major < NAP_IS_SHOWN_SINCE;
    seen = event === 'CheckpointerMain' || event === 'CheckpointWriteDelay' || naps ? seen + 1 : 0;
    if (seen >= (naps ? NAP_LOOKS : CHECKPOINTER_LOOKS)) return true;
    await sleep(server.clock, CHECKPOINTER_LOOK_MS, patience.signal);
    return false;
  };
  await until(server, patience, knows, notObeyed);
}
