/** HAProxy's own statistics page in its CSV form (HAProxy management guide, section 9.1). */
import { ensureError } from '../../support/errors.ts';
import { basicAuth, exchange } from '../../support/http.ts';
import { unescaped } from '../../support/percent.ts';
import type { HaproxyHealth, ProxyHealth } from './report.ts';

export interface HaproxyAccess {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** The default where no address is configured: that of the tutorial and the demo. */
  readonly isGuess: boolean;
}

const TIMEOUT_MS = 3_000;
export const DEFAULT_HAPROXY_URL = 'http://127.0.0.1:7000/stats;csv';

/**
 * Precedence: the option, the environment, the file, the tutorial's address. A password belongs in
 * the environment, not on a command line.
 */
export function haproxyAccess(
  option: string | undefined,
  configured: string | null,
  env: Readonly<Record<string, string | undefined>>,
): HaproxyAccess {
  const named = option ?? (env['REGENT_HAPROXY_URL'] || configured);
  return {
    url: named ?? DEFAULT_HAPROXY_URL,
    isGuess: named === null,
    username: env['REGENT_HAPROXY_USERNAME'] || 'admin',
    password: env['REGENT_HAPROXY_PASSWORD'] || 'admin',
  };
}

/**
 * Never throws, because HAProxy may run on another host. `members`: their names show whether a
 * HAProxy at the default address belongs to this cluster.
 */
export async function readHaproxy(access: HaproxyAccess, members: Promise<readonly string[]>): Promise<HaproxyHealth> {
  const found = { ...(await readStats(access)), isGuess: access.isGuess };
  if (!access.isGuess || found.proxies.length === 0) return found;
  const names = new Set(await members);
  const isOurs = found.proxies.some(({ serversUp, serversDown }) => [...serversUp, ...serversDown].some((name) => names.has(name)));
  return isOurs ? found : { ...found, proxies: [], skipped: 'none of its servers is a member of this cluster' };
}

async function readStats(access: HaproxyAccess): Promise<Omit<HaproxyHealth, 'isGuess'>> {
  if (!URL.canParse(access.url)) return { url: access.url, proxies: [], skipped: 'not a URL' };
  const url = new URL(access.url);
  const username = unescaped(url.username) || access.username;
  const password = unescaped(url.password) || access.password;
  url.username = '';
  url.password = '';
  const shown = url.href;
  try {
    const answer = await exchange(url, { headers: { Authorization: basicAuth(username, password) } }, { timeoutMs: TIMEOUT_MS });
    if (answer.status !== 200) {
      const reason = answer.status === 401 ? 'it refuses the user name and password' : `it answers ${answer.status}`;
      return { url: shown, proxies: [], skipped: reason };
    }
    const proxies = parseStats(answer.text);
    return { url: shown, proxies, skipped: proxies.length === 0 ? 'no statistics in its answer' : null };
  } catch (error) {
    return { url: shown, proxies: [], skipped: ensureError(error).message };
  }
}

/** Rows that are sums, and the place where clients wait for a primary. */
const NO_SERVERS: ReadonlySet<string> = new Set(['BACKEND', 'FRONTEND', 'waiting-room']);

/** A check that HTTP has answered, with whatever code; `* ` while the next one runs. */
const ANSWERED = /^(?:\* )?L7(?:OK|OKC|STS)$/;

/**
 * Backends that have servers, in the order of the page. Columns are found by name. The first line
 * begins with `# `.
 */
export function parseStats(csv: string): ProxyHealth[] {
  const [heading, ...lines] = csv.split('\n').map((line) => line.trimEnd());
  const names = (heading ?? '').replace(/^#\s*/, '').split(',');
  const column = (cells: readonly string[], name: string) => cells[names.indexOf(name)] ?? '';
  const rows = lines.filter((line) => line !== '').map((line) => line.split(','));
  const backends = rows.filter((cells) => column(cells, 'svname') === 'BACKEND');
  return backends.flatMap((backend) => {
    const name = column(backend, 'pxname');
    const servers = rows.filter((cells) => column(cells, 'pxname') === name && !NO_SERVERS.has(column(cells, 'svname')));
    if (servers.length === 0) return [];
    const up = (cells: readonly string[]) => /^(UP|no check)/.test(column(cells, 'status'));
    const named = (wanted: boolean) => servers.filter((cells) => up(cells) === wanted).map((cells) => column(cells, 'svname'));
    // With the waiting room a backend is always UP.
    const status = named(true).length === 0 ? 'DOWN' : column(backend, 'status');
    const answering = servers.filter((cells) => !up(cells) && ANSWERED.test(column(cells, 'check_status')));
    return [
      { name, status, serversUp: named(true), serversDown: named(false), refusing: answering.map((cells) => column(cells, 'svname')) },
    ];
  });
}
