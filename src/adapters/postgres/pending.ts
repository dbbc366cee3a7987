/**
 * Settings that wait for a restart. PostgreSQL knows some of them (changed in a file since it
 * started). Those on its command line only the agent can compare with the wanted values.
 */

import type { Settings } from '../../core/settings.ts';
import { RECOVERY_GUCS } from '../../pgconf/guc-table.ts';
import { commandLineArguments } from '../../pgconf/server-config.ts';
import type { Clock } from '../../ports/clock.ts';
import { isGateLink } from './client-gate.ts';
import { realOrSame } from './doors.ts';
import type { Heartbeat } from './heartbeat.ts';

export type PendingRestart = Readonly<Record<string, { old_value: string; new_value: string }>>;

/**
 * Nobody tells the agent of an ALTER SYSTEM without a reload; with one, conf_load_time changes at
 * once.
 */
const REREAD_AFTER_MS = 60_000;

/**
 * Recovery settings mean nothing to a server that is not recovering; hot_standby is the agent's own
 * affair.
 */
const NEVER_PENDING: ReadonlySet<string> = new Set([...RECOVERY_GUCS, 'hot_standby']);
/** Of those, what a standby of PostgreSQL 13 takes up at a start only. */
const PENDING_IN_RECOVERY = 'restore_command';

/**
 * These are not compared. The agent knows by other means that a server has our data directory, and
 * its path may be written in another way. The pid file is this node's, in whatever file it is
 * named.
 */
const NOT_COMPARED: ReadonlySet<string> = new Set(['data_directory', 'external_pid_file']);

const PENDING_QUERY = `
SELECT s.name, current_setting(s.name) AS running,
  CASE WHEN s.pending_restart THEN (SELECT f.setting FROM pg_file_settings f WHERE lower(f.name) = s.name ORDER BY f.seqno DESC LIMIT 1) END AS filed,
  s.pending_restart AS pending, pg_is_in_recovery() AS recovering,
  s.source <> 'configuration file' OR s.setting IS NOT DISTINCT FROM s.boot_val AS unfiled
FROM pg_settings s WHERE s.pending_restart OR s.name = ANY($1)`;

interface PendingRow {
  readonly name: string;
  readonly running: string;
  readonly filed: string | null;
  readonly pending: boolean;
  readonly recovering: boolean;
  /** What runs is what a start without a line in any file would give. */
  readonly unfiled: boolean;
}

export class PendingRestartReader {
  readonly #clock: Clock;
  #cached: { readonly key: string; readonly settings: Settings; readonly atMs: number; readonly value: PendingRestart } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `key` changes whenever the server has started or loaded its configuration. */
  async read(heartbeat: Heartbeat, settings: Settings, major: number, key: string, timeoutMs: number): Promise<PendingRestart> {
    const nowMs = this.#clock.monotonicMs();
    const cached = this.#cached;
    if (cached && cached.key === key && cached.settings === settings && nowMs - cached.atMs < REREAD_AFTER_MS) return cached.value;
    const wanted = wantedOnCommandLine(settings, major);
    const rows = await heartbeat.query<PendingRow>(PENDING_QUERY, [[...wanted.keys()]], timeoutMs);
    // Through the gate it reads the node's own rules as soon as clients are let in.
    const ofFiles = rows.filter(({ name, running }) => name !== 'hba_file' || !isGateLink(running));
    const value = judgePending(ofFiles, wanted);
    this.#cached = { key, settings, atMs: nowMs, value };
    return value;
  }
}

function wantedOnCommandLine(settings: Settings, major: number): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  for (const argument of commandLineArguments(settings, major)) {
    const match = /^--([^=]+)=(.*)$/s.exec(argument);
    const name = (match?.[1] ?? '').replaceAll('-', '_');
    if (match && !NOT_COMPARED.has(name)) wanted.set(name, match[2]!);
  }
  return wanted;
}

export function judgePending(rows: readonly PendingRow[], wanted: ReadonlyMap<string, string>): PendingRestart {
  const pending: Record<string, { old_value: string; new_value: string }> = {};
  for (const row of rows) {
    if (NEVER_PENDING.has(row.name) && !(row.recovering && row.name === PENDING_IN_RECOVERY)) continue;
    const value = wanted.get(row.name);
    if (value !== undefined) {
      if (canonical(row.name, value) !== canonical(row.name, row.running)) pending[row.name] = { old_value: row.running, new_value: value };
    } else if (row.pending && !(row.filed === null && row.unfiled)) {
      // PostgreSQL keeps the mark of a line that was taken out again before it took effect, until
      // it is restarted for another reason.
      pending[row.name] = { old_value: row.running, new_value: row.filed ?? '?' };
    }
  }
  return pending;
}

const TRUE_WORDS = new Set(['on', 'true', 'yes', '1']);
const FALSE_WORDS = new Set(['off', 'false', 'no', '0']);
const BOOLEANS = new Set(['track_commit_timestamp', 'wal_log_hints', 'hot_standby']);

const FILES = new Set(['config_file', 'hba_file', 'ident_file']);

function canonical(name: string, value: string): string {
  if (FILES.has(name)) return realOrSame(value);
  const word = value.trim().toLowerCase();
  if (BOOLEANS.has(name)) return TRUE_WORDS.has(word) ? 'on' : FALSE_WORDS.has(word) ? 'off' : word;
  if (name === 'wal_level') return word === 'hot_standby' || word === 'archive' ? 'replica' : word;
  if (name === 'listen_addresses') return value.split(/\s*,\s*/).join(',');
  return /^\d+$/.test(word) ? String(Number(word)) : value;
}
