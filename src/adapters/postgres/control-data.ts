/**
 * pg_controldata: what the control file says of a server that is not running. Labels and words:
 * src/bin/pg_controldata/pg_controldata.c of PostgreSQL 13 to 18, run with LC_ALL=C.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlFacts } from '../../core/postgres-facts.ts';
import { parseLsn, ZERO_LSN } from '../../core/units.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { lastLines, type RunOptions, type RunResult } from '../../support/exec.ts';

/** Settings recorded in the control file: a standby that has less of one refuses to start. */
export const LIMIT_LABELS: Readonly<Record<string, string>> = {
  max_connections: 'max_connections setting',
  max_worker_processes: 'max_worker_processes setting',
  max_wal_senders: 'max_wal_senders setting',
  max_prepared_transactions: 'max_prepared_xacts setting',
  max_locks_per_transaction: 'max_locks_per_xact setting',
};

export interface ControlData extends ControlFacts {
  readonly limits: Readonly<Record<string, number>>;
  readonly walSegmentBytes: number;
}

/** Throws RegentError CONTROL_DATA_UNREADABLE. */
export function parseControlData(text: string): ControlData {
  // A failed checksum is only a warning of the tool; what it then prints is noise.
  if (/^(?:\S+: )?warning:.*(CRC|checksum)/im.test(text)) throw unreadable('the checksum of global/pg_control is wrong');
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([^:]+):\s+(.*?)\s*$/.exec(line);
    if (match) values.set(match[1]!.trim().replace(/^Current /, ''), match[2]!);
  }
  const value = (label: string): string => {
    const found = values.get(label);
    if (found === undefined) throw unreadable(`'${label}' is missing`);
    return found;
  };
  const lsn = (label: string) => {
    try {
      return parseLsn(value(label));
    } catch (error) {
      throw error instanceof RegentError ? error : unreadable(ensureError(error).message);
    }
  };
  const integer = (label: string) => {
    const number = Number(value(label));
    if (!Number.isSafeInteger(number)) throw unreadable(`'${label}' is not a number: ${value(label)}`);
    return number;
  };
  const minRecoveryLsn = lsn('Minimum recovery ending location');
  const minRecoveryTimeline = integer("Min recovery ending loc's timeline");
  const backupUnfinished =
    values.get('End-of-backup record required') === 'yes' || !/^(0\/0+)?$/.test(values.get('Backup start location') ?? '');
  return {
    systemIdentifier: value('Database system identifier'),
    state: value('Database cluster state'),
    checkpointLsn: lsn('Latest checkpoint location'),
    timeline: integer("Latest checkpoint's TimeLineID"),
    minRecoveryLsn: minRecoveryLsn === ZERO_LSN ? null : minRecoveryLsn,
    minRecoveryTimeline: minRecoveryTimeline === 0 ? null : minRecoveryTimeline,
    dataChecksums: integer('Data page checksum version') !== 0,
    walLogHints: value('wal_log_hints setting') === 'on',
    ...(backupUnfinished ? { backupUnfinished } : {}),
    limits: Object.fromEntries(Object.entries(LIMIT_LABELS).map(([name, label]) => [name, integer(label)])),
    walSegmentBytes: integer('Bytes per WAL segment'),
  };
}

function unreadable(why: string): RegentError {
  return new RegentError('CONTROL_DATA_UNREADABLE', `pg_controldata: ${why}`, {
    mend: 'run pg_controldata on the data directory; a damaged control file means a damaged cluster: reinitialize this member',
  });
}

type Run = (file: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

/** Reads again only when the control file has changed: a stopped server's does not. */
export class ControlDataReader {
  #cached: { readonly key: string; readonly data: ControlData } | null = null;

  /** Throws CONTROL_DATA_UNREADABLE. */
  async read(dataDir: string, program: string, run: Run, timeoutMs: number): Promise<ControlData> {
    const file = await stat(join(dataDir, 'global', 'pg_control'), { bigint: true }).catch((error) => {
      throw unreadable(ensureError(error).message);
    });
    const key = `${dataDir} ${file.ino} ${file.size} ${file.mtimeNs} ${file.ctimeNs}`;
    if (this.#cached?.key === key) return this.#cached.data;
    const result = await run(program, ['-D', dataDir], { timeoutMs, env: { LC_ALL: 'C', LANG: 'C' }, killGraceMs: 100 });
    if (result.code !== 0) throw unreadable(lastLines(result.stderr, 2) || `it ended with ${result.cause} ${result.code ?? result.signal}`);
    const data = parseControlData(`${result.stdout}\n${result.stderr}`);
    this.#cached = { key, data };
    return data;
  }
}
