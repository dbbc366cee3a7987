/** Passwords that a search finds nowhere by accident, and the places where they must not be. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EtcdCluster } from './etcd.ts';

/**
 * With characters that a connection string, a pgpass file, YAML, SQL and a shell each quote in a
 * way of their own.
 */
export const SECRETS = {
  superuser: `su:per'Qx7vKm2pT %20\\z`,
  replication: `repl"Qx8hWb5nL&$HOME z`,
  rewind: `re=wind'Qx9fRc4jD#{z}`,
} as const;

/** What of each survives every way of quoting it. */
export const TRACES = Object.values(SECRETS).map((secret) => /Qx\w+/.exec(secret)![0]);

/** Every regular file below the directory that holds one of the texts. */
export function filesWith(directory: string, texts: readonly string[]): string[] {
  const found: string[] = [];
  const look = (path: string): void => {
    const { isDirectory, isFile } = kindOf(path);
    if (isDirectory) for (const name of readdirSync(path)) look(join(path, name));
    else if (isFile && holdsAny(contentOf(path), texts)) found.push(path);
  };
  look(directory);
  return found;
}

const holdsAny = (content: Buffer, texts: readonly string[]) => texts.some((text) => content.includes(text));

/** A file that vanishes while it is looked at held nothing that stays. */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function kindOf(path: string): { readonly isDirectory: boolean; readonly isFile: boolean } {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return { isDirectory: stat?.isDirectory() === true, isFile: stat?.isFile() === true };
}

export const modeOf = (path: string) => lstatSync(path).mode & 0o777;

/** Everything etcd holds. */
export async function allKeys(etcd: EtcdCluster): Promise<ReadonlyArray<{ readonly key: string; readonly value: string }>> {
  const everything = Buffer.from([0]).toString('base64');
  const body = JSON.stringify({ key: everything, range_end: everything });
  const answer = await fetch(`${etcd.endpoints[0]}/v3/kv/range`, { method: 'POST', body, signal: AbortSignal.timeout(5000) });
  const { kvs } = (await answer.json()) as { kvs?: ReadonlyArray<{ key: string; value?: string }> };
  const text = (base64 = '') => Buffer.from(base64, 'base64').toString();
  return (kvs ?? []).map(({ key, value }) => ({ key: text(key), value: text(value) }));
}
