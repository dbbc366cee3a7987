/** Where a member's PostgreSQL is reached. */
import type { Member } from './cluster.ts';
import type { Source } from './effects.ts';

/**
 * By member, as it was read; etcd's client gives the same one again for as long as its key stays as
 * it is.
 */
const sources = new WeakMap<Member, Source | null>();

/** host and port of a member's conn_url; null when it has none or a broken one. */
export function sourceOf(member: Member): Source | null {
  let source = sources.get(member);
  if (source === undefined) {
    source = readSource(member);
    sources.set(member, source);
  }
  return source;
}

function readSource(member: Member): Source | null {
  if (member.connUrl === null) return null;
  try {
    const url = new URL(member.connUrl);
    if (url.hostname === '') return null;
    return { name: member.name, host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 5432 : Number(url.port) };
  } catch {
    return null;
  }
}
