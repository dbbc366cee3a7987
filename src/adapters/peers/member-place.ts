/** Where a member's REST API is. */
import type { Member } from '../../core/cluster.ts';

/** By member, as it was read; etcd's client gives the same one again while its key stays. */
const apis = new WeakMap<Member, URL | null>();

/** Null: it publishes no address that could be used. */
export function apiOf(member: Member): URL | null {
  let url = apis.get(member);
  if (url === undefined) {
    url = readApi(member);
    apis.set(member, url);
  }
  return url;
}

function readApi({ apiUrl }: Member): URL | null {
  const url = apiUrl !== null && URL.canParse(apiUrl) ? new URL(apiUrl) : null;
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url : null;
}

export function placeOf(url: URL): { host: string; port: number } {
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port };
}
