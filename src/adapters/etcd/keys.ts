/** Where the keys of a cluster are, and etcd's notation for ranges. */

/** `/namespace/scope/`, runs of slashes collapsed. Every key of the cluster begins with it. */
export function clusterPrefix(namespace: string, scope: string): string {
  return collapse(`/${namespace}/${scope}/`);
}

/** `/namespace/`: all clusters beside each other. */
export function namespacePrefix(namespace: string): string {
  return collapse(`/${namespace}/`);
}

export function encodeText(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

export function decodeText(base64: string | undefined): string {
  return base64 === undefined ? '' : Buffer.from(base64, 'base64').toString('utf8');
}

/**
 * Base64 of the first key after all that begin with `prefix`: its last byte below 0xff plus one.
 */
export function encodePrefixEnd(prefix: string): string {
  const bytes = Buffer.from(prefix, 'utf8');
  // UTF-8 has no 0xff, so the last byte can always be raised.
  bytes[bytes.length - 1]! += 1;
  return bytes.toString('base64');
}

/** The key without the prefix; null when it is not below it. */
export function relativeKey(prefix: string, key: string): string | null {
  return key.length > prefix.length && key.startsWith(prefix) ? key.slice(prefix.length) : null;
}

const MEMBERS = 'members/';

export function memberKey(name: string): string {
  return MEMBERS + name;
}

/** The member's name, or null when the relative key is not directly below `members/`. */
export function memberNameOf(relative: string): string | null {
  if (!relative.startsWith(MEMBERS)) return null;
  const name = relative.slice(MEMBERS.length);
  return name === '' || name.includes('/') ? null : name;
}

/** What may stand directly below a cluster's prefix. */
const TOP_LEVEL = new Set(['initialize', 'config', 'leader', 'members', 'failover', 'sync', 'history', 'status', 'failsafe', 'optime']);

/** Name of the cluster a key below the namespace belongs to; null when it is no cluster's key. */
export function scopeOf(namespacePrefixText: string, key: string): string | null {
  const [scope, top] = relativeKey(namespacePrefixText, key)?.split('/') ?? [];
  return scope !== undefined && scope !== '' && top !== undefined && TOP_LEVEL.has(top) ? scope : null;
}

function collapse(path: string): string {
  return path.replace(/\/+/g, '/');
}
