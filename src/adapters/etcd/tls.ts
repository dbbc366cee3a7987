/**
 * Certificates for talking to etcd, as Patroni reads its settings:
 * `cacert` turns verification on; `key` may be inside `cert`.
 */
import { readFileSync } from 'node:fs';
import type { EtcdSettings } from '../../core/settings.ts';
import { certificateTrouble } from '../../support/certificates.ts';
import { codeOf, RegentError } from '../../support/errors.ts';

export interface TlsMaterial {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly rejectUnauthorized: boolean;
}

/** Throws RegentError DCS_TLS_FILE when a file cannot be read, or what it holds not be used. */
export function readTlsMaterial(settings: EtcdSettings): TlsMaterial {
  const keyPath = settings.key ?? settings.cert;
  const material: TlsMaterial = {
    rejectUnauthorized: settings.cacert !== null,
    ...(settings.cacert === null ? {} : { ca: readPem('cacert', settings.cacert) }),
    ...(settings.cert === null ? {} : { cert: readPem('cert', settings.cert) }),
    ...(settings.cert === null || keyPath === null ? {} : { key: readPem('key', keyPath) }),
  };
  const trouble = certificateTrouble(material);
  if (trouble === null) return material;
  const files = [...new Set([settings.cacert, settings.cert, keyPath])].filter((path) => path !== null);
  throw new RegentError('DCS_TLS_FILE', `the certificates for etcd cannot be used (${files.join(', ')}): ${trouble}`, {
    mend: 'etcd3.cacert, cert and key must name PEM files, and the key must belong to the certificate.',
  });
}

export function sameMaterial(a: TlsMaterial, b: TlsMaterial): boolean {
  const same = (x: Buffer | undefined, y: Buffer | undefined) => (x === undefined ? y === undefined : y !== undefined && x.equals(y));
  return same(a.ca, b.ca) && same(a.cert, b.cert) && same(a.key, b.key);
}

function readPem(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new RegentError('DCS_TLS_FILE', `etcd3.${setting}: cannot read ${path} (${codeOf(cause) ?? 'unknown error'})`, {
      mend: 'Give the path of a PEM file this user may read.',
      cause,
    });
  }
}
