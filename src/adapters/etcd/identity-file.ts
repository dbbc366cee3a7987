/**
 * Keeps the id of the etcd that a data directory belongs to, in that directory. The two go
 * together, whatever happens to the parent directory, and new data come without one. The name
 * begins as PostgreSQL's temporary files do, so pg_basebackup and the backup tools leave it out,
 * and PostgreSQL never looks at it. pg_rewind may remove it, or copy that of the source, which is
 * in the same etcd.
 */
import { closeSync, fchownSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isJsonObject, parseJson } from '../../support/big-json.ts';

const IDENTITY_FILE = 'pgsql_tmp.regent-etcd.json';

export interface KeptIdentity {
  /** Decimal, as etcd's JSON gateway writes it. */
  readonly clusterId: string;
  /** An operator has confirmed that this id replaces that one; null: no confirmation was needed. */
  readonly replaces: string | null;
  /** Where it answered last. */
  readonly endpoint: string | null;
}

export interface IdentityFile {
  readonly path: string;
  /** What an operator types to confirm that etcd was replaced. */
  readonly confirm: string;
  /** Null: there is none, or none that can be understood. Never throws. */
  read(): KeptIdentity | null;
  /** True when it is on disk. Never throws. */
  write(kept: KeptIdentity): boolean;
}

export function identityFile(dataDir: string, confirm: string): IdentityFile {
  const path = join(dataDir, IDENTITY_FILE);
  return {
    path,
    confirm,
    read: () => {
      try {
        const value = parseJson(readFileSync(path, 'utf8'));
        if (!isJsonObject(value) || typeof value['cluster_id'] !== 'string' || value['cluster_id'] === '') return null;
        return { clusterId: value['cluster_id'], replaces: textOrNull(value['replaces']), endpoint: textOrNull(value['endpoint']) };
      } catch {
        return null;
      }
    },
    write: (kept) => {
      try {
        writeDurably(
          dataDir,
          path,
          `${JSON.stringify({ cluster_id: kept.clusterId, replaces: kept.replaces, endpoint: kept.endpoint })}\n`,
        );
        return true;
      } catch {
        return false;
      }
    },
  };
}

function writeDurably(dataDir: string, path: string, text: string): void {
  // As PostgreSQL's own files: readable for the group where the directory is.
  const { mode, uid, gid } = statSync(dataDir);
  const groupReads = (mode & 0o050) === 0o050;
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', groupReads ? 0o640 : 0o600);
  try {
    // An operator may be root; the agent has to read it.
    if (process.getuid?.() === 0) fchownSync(file, uid, gid);
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  const directory = openSync(dataDir, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
