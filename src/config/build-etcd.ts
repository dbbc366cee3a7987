/** `etcd3:` (or `etcd:`) to endpoints and credentials. Keys: patroni-compat 1.13. */
import type { EtcdSettings } from '../core/settings.ts';
import { bracketed, parseAddress } from './hostport.ts';
import { bad, good, type Read } from './read.ts';
import type { LocalParsed } from './schema.ts';

export type EtcdParsed = NonNullable<LocalParsed['etcd3']>;

const DEFAULT_PORT = 2379;

export function etcdSectionName(parsed: { readonly etcd3?: unknown; readonly etcd?: unknown }): 'etcd3' | 'etcd' | null {
  if (parsed.etcd3 !== undefined) return 'etcd3';
  return parsed.etcd === undefined ? null : 'etcd';
}

export interface Endpoint {
  /** `http://host:port` */
  readonly url: string;
  readonly host: string;
  readonly username: string | null;
  readonly password: string | null;
}

/** `host`, `host:port` or a URL. */
export function readEndpoint(text: string, protocol: 'http' | 'https'): Read<Endpoint> {
  if (text.includes('://')) return readUrl(text);
  const address = parseAddress(text, DEFAULT_PORT, '10.0.0.1:2379');
  if (!address.ok) return address;
  const host = address.value.hosts[0]!;
  if (address.value.hosts.length > 1 || host === '*') return bad('not one host and port', "write such as '10.0.0.1:2379'");
  return good({ url: `${protocol}://${bracketed(host)}:${address.value.port}`, host, username: null, password: null });
}

function readUrl(text: string): Read<Endpoint> {
  const help = "write such as 'http://10.0.0.1:2379'";
  let url: URL;
  try {
    url = new URL(text);
    const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return bad('neither http nor https', help);
    if (url.hostname === '') return bad('the host is missing', help);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const standard = url.protocol === 'http:' ? ':80' : ':443';
    // The URL class drops a scheme's standard port even where it was written.
    const port = url.port || (new RegExp(`${standard}(/|$)`).test(text) ? standard.slice(1) : String(DEFAULT_PORT));
    return good({ url: `${url.protocol}//${url.hostname}:${port}`, host, username: username || null, password: password || null });
  } catch {
    return bad('not a URL', help);
  }
}

/** Where each endpoint was written, in order of preference: url or proxy, hosts, host. */
export function endpointTexts(section: EtcdParsed): readonly { readonly path: readonly string[]; readonly text: string }[] {
  if (section.proxy !== undefined) return [{ path: ['proxy'], text: section.proxy }];
  if (section.url !== undefined) return [{ path: ['url'], text: section.url }];
  if (section.hosts?.length) return section.hosts.map((text, index) => ({ path: ['hosts', String(index)], text }));
  if (section.host === undefined) return [];
  const withPort = section.port !== undefined && /^([^:]+|\[.*\])$/.test(section.host) ? `${section.host}:${section.port}` : section.host;
  return [{ path: ['host'], text: withPort }];
}

/** The section must have been checked. */
export function buildEtcd(parsed: LocalParsed): EtcdSettings {
  const section = parsed[etcdSectionName(parsed) ?? 'etcd3'] ?? {};
  const endpoints = endpointTexts(section).flatMap(({ text }) => {
    const endpoint = readEndpoint(text, section.protocol ?? 'http');
    return endpoint.ok ? [endpoint.value] : [];
  });
  const login = endpoints.find((endpoint) => endpoint.username !== null);
  return {
    endpoints: endpoints.map((endpoint) => endpoint.url),
    username: login?.username ?? section.username ?? null,
    password: login?.password ?? section.password ?? null,
    cacert: section.cacert ?? null,
    cert: section.cert ?? null,
    key: section.key ?? section.cert ?? null,
    discover: section.proxy === undefined && !(section.use_proxies ?? false),
    srv: section.srv ?? null,
    srvSuffix: section.srv_suffix ?? null,
  };
}
