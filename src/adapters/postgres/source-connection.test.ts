/** Of several addresses of a server outside, the one that takes writes. */
import type pg from 'pg';
import { expect, it } from 'vitest';
import { connectSource } from './source-connection.ts';
import type { ConnectOptions } from './sql.ts';

type Kind = 'primary' | 'standby' | 'down';

/** Resolves to the host that was connected to; null: none. */
async function chosen(hosts: Readonly<Record<string, Kind>>): Promise<{ readonly host: string | null; readonly ended: readonly string[] }> {
  const ended: string[] = [];
  const connect = async ({ host }: ConnectOptions): Promise<pg.Client> => {
    if (hosts[host] === 'down') throw new Error(`${host} is down`);
    const answers: Record<string, string> = { server_version_num: '150004', in_hot_standby: hosts[host] === 'standby' ? 'on' : 'off' };
    return {
      host,
      query: async (text: string) => ({ rows: [{ value: answers[text.replace('SHOW ', '')] }] }),
      removeAllListeners() {},
      on() {},
      end: async () => void ended.push(host),
    } as unknown as pg.Client;
  };
  const [first, ...rest] = Object.keys(hosts);
  const others = rest.map((host) => ({ host, port: 5432 }));
  const options = { connectTimeoutMs: 100 } as Omit<ConnectOptions, 'host' | 'port'>;
  const client = await connectSource(connect, { host: first!, port: 5432, remote: { others, slot: null } }, options).catch(() => null);
  return { host: (client as { host: string } | null)?.host ?? null, ended };
}

it.each<[Readonly<Record<string, Kind>>, string | null, readonly string[]]>([
  [{ a: 'standby' }, 'a', []],
  [{ a: 'primary', b: 'standby' }, 'a', []],
  [{ a: 'standby', b: 'primary' }, 'b', ['a']],
  [{ a: 'down', b: 'primary' }, 'b', []],
  [{ a: 'standby', b: 'standby' }, 'a', ['b']],
  [{ a: 'down', b: 'down' }, null, []],
])('%j: %s', async (hosts, host, ended) => {
  expect(await chosen(hosts)).toEqual({ host, ended });
});
