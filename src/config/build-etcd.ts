/** `etcd3:` (or `etcd:`) to endpoints and credentials. Keys: docs/dialect.md, "Reaching etcd". */
import type { EtcdSettings } from '../core/settings.ts';
import { unescaped } from '../support/percent.ts';
import { bracketed, parseAddress, unbracketed } from './hostport.ts';
import { bad, good, type Read, type Wrong } from './read.ts';
import { made } from './setting.ts';
import { type EtcdParsed, type LocalParsed, localTable } from './table.ts';

const DEFAULT_PORT = localTable.etcd3.keys.port.fallback!;

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
  /** What is unusual in how it was written. */
  readonly remark: Wrong | null;
}

/** `host`, `host:port` or a URL. */
export function readEndpoint(text: string, section: EtcdParsed): Read<Endpoint> {
  const defaultPort = section.port ?? DEFAULT_PORT;
  // A URL of its own (`url`, `proxy`) comes with its port, as for Patroni; one among the hosts is a
  // host.
  if (text.includes('://')) return readUrl(text, text === section.url || text === section.proxy ? DEFAULT_PORT : defaultPort);
  const address = parseAddress(text, defaultPort, '10.0.0.1:2379');
  if (!address.ok) return address;
  const host = address.value.hosts[0]!;
  if (address.value.hosts.length > 1 || host === '*') return bad('not one host and port', "write such as '10.0.0.1:2379'");
  const url = `${section.protocol ?? 'http'}://${bracketed(host)}:${address.value.port}`;
  return good({ url, host, username: null, password: null, remark: address.value.remark });
}

function readUrl(text: string, defaultPort: number): Read<Endpoint> {
  const help = "write such as 'http://10.0.0.1:2379'";
  let url: URL;
  try {
    url = new URL(text);
    const [username, password] = [unescaped(url.username), unescaped(url.password)];
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return bad('neither http nor https', help);
    if (url.hostname === '') return bad('the host is missing', help);
    const host = unbracketed(url.hostname);
    const standard = url.protocol === 'http:' ? ':80' : ':443';
    // The URL class drops a scheme's standard port even where it was written.
    const port = url.port || (new RegExp(`${standard}(/|$)`).test(text) ? standard.slice(1) : String(defaultPort));
    return good({
      url: `${url.protocol}//${url.hostname}:${port}`,
      host,
      username: username || null,
      password: password || null,
      remark: null,
    });
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
  return [{ path: ['host'], text: hostAtPort(section.host, section.port) }];
}

/**
 * Of a port beside the host and one behind it the first counts, as for Patroni; for `hosts` it is
 * the other way round.
 */
function hostAtPort(host: string, port: number | undefined): string {
  const read = port === undefined || host.includes('://') ? null : parseAddress(host, port, '10.0.0.1:2379');
  return read?.ok && read.value.port !== port ? `${read.value.hosts.map(bracketed).join(',')}:${port}` : host;
}

/**
 * A port that is written and not used: beside a URL, or behind the host where `port` is given as
 * well.
 */
export function unusedPort(section: EtcdParsed): { readonly path: readonly string[]; readonly message: string } | null {
  const { port, host } = section;
  if (port === undefined) return null;
  const whole = section.proxy === undefined ? 'url' : 'proxy';
  if (section[whole] !== undefined) {
    const read = readEndpoint(section[whole], section);
    const used = read.ok ? new URL(read.value.url).port : '';
    return used === String(port) ? null : { path: ['port'], message: `not used, because '${whole}' is given, which means port ${used}` };
  }
  if (section.hosts?.length || host === undefined) return null;
  const written = parseAddress(host, port, '');
  if (!written.ok || written.value.port === port) return null;
  return { path: ['host'], message: `its port ${written.value.port} is not used, because 'port: ${port}' is given` };
}

/** The section must have been checked. */
export function buildEtcd(parsed: LocalParsed): EtcdSettings {
  const section = parsed[etcdSectionName(parsed) ?? 'etcd3'] ?? {};
  const endpoints = endpointTexts(section).flatMap(({ text }) => {
    const endpoint = readEndpoint(text, section);
    return endpoint.ok ? [endpoint.value] : [];
  });
  const login = endpoints.find((endpoint) => endpoint.username !== null) ?? section;
  // Half a login is none.
  const complete = Boolean(login.username) && login.password !== undefined && login.password !== null;
  return {
    endpoints: endpoints.map((endpoint) => endpoint.url),
    username: complete ? (login.username ?? null) : null,
    password: complete ? (login.password ?? null) : null,
    ...made(localTable.etcd3.keys, section),
    cert: section.cert ?? null,
    key: section.key ?? section.cert ?? null,
    discover: section.proxy === undefined && !(section.use_proxies ?? false),
  };
}
