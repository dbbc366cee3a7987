/**
 * A server certificate of a test's own, which its clients verify, and access by TLS only for what
 * Regent does over a network.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JsonObject } from '../../../src/support/json.ts';
import { postgresOwner } from './bare-postgres.ts';

const run = promisify(execFile);

export interface ServerTls {
  /** For `postgresql.parameters`. */
  readonly parameters: JsonObject;
  /** For each of `postgresql.authentication`. */
  readonly client: JsonObject;
  /** For `postgresql.pg_hba`; the tests look as the superuser, who may also come without TLS. */
  readonly pgHba: readonly string[];
  /** Another key and certificate in the same files. */
  renew(): void;
  /**
   * What `[address]:port` shows now to who asks for TLS as a client of PostgreSQL does; '' where it
   * does not.
   */
  shown(port: number): Promise<string>;
  /** Of the certificate in the file, in the form of shown(). */
  current(): string;
  remove(): void;
}

/** @param address an IP address, for which the certificate is made out. */
export function serverTls(address: string): ServerTls {
  const directory = mkdtempSync(join(tmpdir(), 'regent-tls-'));
  const [key, certificate] = [join(directory, 'server.key'), join(directory, 'server.crt')];
  const subject = ['-subj', '/CN=regent-test', '-addext', `subjectAltName=IP:${address}`];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject];
  const renew = () => {
    execFileSync('openssl', made, { stdio: 'pipe' });
    const { uid, gid } = postgresOwner();
    for (const path of [directory, key, certificate]) chownSync(path, uid, gid);
    chmodSync(key, 0o600);
  };
  renew();
  const onlyCertificate = (text: string) => /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/s.exec(text)?.[0] ?? '';
  const host = address.includes(':') ? `[${address}]` : address;
  const range = address.includes(':') ? `${address}/128` : `${address}/32`;
  return {
    parameters: { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key },
    client: { sslmode: 'verify-full', sslrootcert: certificate },
    pgHba: [
      'local all all scram-sha-256',
      `hostssl replication replicator ${range} scram-sha-256`,
      `hostssl all rewinder ${range} scram-sha-256`,
      `host all postgres ${range} scram-sha-256`,
    ],
    renew,
    shown: async (port) => {
      const asked = run('openssl', ['s_client', '-starttls', 'postgres', '-connect', `${host}:${port}`], { timeout: 5000 });
      asked.child.stdin?.end();
      return onlyCertificate((await asked.catch(() => ({ stdout: '' }))).stdout);
    },
    current: () => onlyCertificate(readFileSync(certificate, 'utf8')),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
