/** `patroni` as it is called: what is printed where, and the exit code. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { examineLocal } from '../config/load.ts';
import type { JsonObject } from '../support/json.ts';
import { documentOf, TO_FILL_IN } from './generate/document.ts';
import { targetOf } from './generate/dsn.ts';
import { configOf } from './generate/template.ts';
import { patroniMain } from './main.ts';
import { yamlText } from './yaml-text.ts';

let home: string;
let etcd: Server;
let config: JsonObject;

const more = (path: string) => `More, with line and column: regent check-config ${path}\n`;
const portOf = (server: Server) => (server.address() as { port: number }).port;
const file = (name: string, text: string) => {
  writeFileSync(join(home, name), text);
  return join(home, name);
};

async function patroni(
  args: readonly string[],
  env: Record<string, string> = {},
  stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean } = process.stdin,
  isTTY = false,
) {
  const seen = { out: '', err: '', ran: null as readonly string[] | null };
  const into = (key: 'out' | 'err') => ({
    write: (text: string) => {
      seen[key] += text;
    },
  });
  const io = { stdout: into('out'), stderr: { ...into('err'), isTTY }, stdin, env: { PATH: join(home, 'bin'), ...env } };
  const code = await patroniMain(args, 'patroni', io, async (agentArgs) => {
    seen.ran = agentArgs;
    return 0;
  });
  return { ...seen, code };
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'regent-patroni-'));
  mkdirSync(join(home, 'bin'));
  for (const name of ['pg_ctl', 'initdb', 'pg_controldata', 'pg_basebackup', 'postgres', 'pg_isready', 'pg_rewind']) {
    writeFileSync(join(home, 'bin', name), '#!/bin/sh\necho "postgres (PostgreSQL) 15.3"\n');
    chmodSync(join(home, 'bin', name), 0o755);
  }
  etcd = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await new Promise((resolve) => etcd.once('listening', resolve));
  config = {
    scope: 'demo',
    name: 'a',
    restapi: { listen: '127.0.0.1:1', connect_address: '10.0.0.1:8008' },
    etcd3: { hosts: [`127.0.0.1:${portOf(etcd)}`] },
    postgresql: {
      listen: '127.0.0.1:1',
      connect_address: '10.0.0.1:5432',
      data_dir: join(home, 'data'),
      bin_dir: join(home, 'bin'),
      authentication: { superuser: { username: 'postgres', password: 'on' }, replication: { username: 'rep' } },
    },
  };
});

afterAll(() => {
  etcd.close();
  rmSync(home, { recursive: true, force: true });
});

describe('patroni', () => {
  it('runs the agent on its file', async () => {
    const path = file('good.yml', yamlText(config));
    expect(await patroni([path])).toMatchObject({ code: 0, ran: [path] });
  });

  it('takes the environment where the file is not there, and refuses to run on nothing', async () => {
    expect(await patroni(['/nowhere.yml'], { PATRONI_SCOPE: 'demo' })).toMatchObject({ code: 0, ran: [] });
    const lost = '/nowhere.yml does not exist or cannot be reached: only the PATRONI_* variables are read\n';
    for (const args of [['/nowhere.yml'], ['--validate-config', '/nowhere.yml']])
      expect(await patroni(args)).toMatchObject({ code: 1, out: '', err: `${lost}Config is empty.\n`, ran: null });
    expect(await patroni([file('empty.yml', '{}\n')])).toMatchObject({ code: 1, err: 'Config is empty.\n', ran: null });
    expect(await patroni(['--validate-config', file('blank.yml', '')])).toMatchObject({ code: 1, err: 'Config is empty.\n' });
  });

  it('prints its version and its help, and refuses what it does not know', async () => {
    expect(await patroni(['--version'])).toMatchObject({ code: 0, out: 'patroni 4.1.4\n' });
    expect(await patroni(['-h'])).toMatchObject({ code: 0, out: expect.stringContaining('usage: patroni [-h]') as string });
    expect(await patroni(['--nonsense'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/usage: [\s\S]*\npatroni: error: unrecognized arguments: --nonsense\n$/) as string,
    });
  });

  it('validates in silence, and prints the merged configuration if asked to', async () => {
    const path = file('good.yml', yamlText(config));
    expect(await patroni(['--validate-config', path])).toMatchObject({ code: 0, out: '', err: '', ran: null });
    const printed = await patroni(['--validate-config', '--print', path], { PATRONI_NAME: 'b' });
    expect(parse(printed.out, { version: '1.1' })).toEqual({ ...config, name: 'b' });
    expect(printed.out).toMatch(/^etcd3:\n {2}hosts:\n {2}- /);
    expect(printed.out).toContain("password: 'on'");
  });

  it('points to what tells more where somebody looks on', async () => {
    const path = file('good.yml', yamlText(config));
    expect(await patroni(['--validate-config', path], {}, process.stdin, true)).toMatchObject({ code: 0, out: '', err: more(path) });
  });

  it('finds ports in use, unless they do not matter', async () => {
    const taken = { ...config, restapi: { listen: `127.0.0.1:${portOf(etcd)}`, connect_address: '10.0.0.1:8008' } };
    const path = file('taken.yml', yamlText(taken));
    const port = portOf(etcd);
    expect(await patroni(['--validate-config', path])).toMatchObject({
      code: 1,
      err: `restapi.listen 127.0.0.1:${port} didn't pass validation: 'Port ${port} is already in use.'\n${more(path)}`,
    });
    expect(await patroni(['--validate-config', '-i', path])).toMatchObject({ code: 0, err: '' });
  });

  it('finds programs, directories and stores that are not there, in the order of the sections', async () => {
    mkdirSync(join(home, 'strange'), { recursive: true });
    writeFileSync(join(home, 'strange', 'x'), '');
    const postgresql = { ...(config['postgresql'] as JsonObject), bin_dir: join(home, 'strange'), data_dir: join(home, 'strange') };
    const path = file('lost.yml', yamlText({ ...config, etcd3: { host: '127.0.0.1:1' }, postgresql, watchdog: { mode: 'maybe' } }));
    const { err, code } = await patroni(['--validate-config', path]);
    expect(code).toBe(1);
    expect(err.split('\n').map((line) => line.replaceAll(home, ''))).toEqual([
      "etcd3.host 127.0.0.1:1 didn't pass validation: '127.0.0.1:1 is not reachable'",
      `postgresql.data_dir /strange didn't pass validation: "doesn't look like a valid data directory"`,
      ...['pg_ctl', 'initdb', 'pg_controldata', 'pg_basebackup', 'postgres', 'pg_isready'].map(
        (name) => `postgresql.bin_dir  does not contain '${name}' in '/strange'`,
      ),
      "watchdog.mode maybe didn't pass validation: Wrong value",
      more('/lost.yml').trimEnd(),
      '',
    ]);
  });

  it('tells what keeps Regent from starting, where Patroni’s checks pass it', async () => {
    const { etcd3: _, ...others } = config;
    const path = file('consul.yml', yamlText({ ...others, consul: { host: 'x:8500' } }));
    const { err, code } = await patroni(['--validate-config', path]);
    expect(code).toBe(1);
    expect(err).toContain("'consul' is not supported by this release");
    expect(err.trim().split('\n')).toHaveLength(2);
    expect(await patroni(['--validate-config', file('broken.yml', 'a: [\n')])).toMatchObject({ code: 1 });
  });
});

describe('a generated configuration', () => {
  const env = () => ({ PATRONI_SCOPE: 'demo', PATRONI_POSTGRESQL_DATA_DIR: join(home, 'new'), PATRONI_SUPERUSER_PASSWORD: 'secret' });

  it('is a sample that starts an agent, and passes the checks once etcd is named', async () => {
    const path = join(home, 'made', 'sample.yml');
    expect(await patroni(['--generate-sample-config', path], env())).toMatchObject({ code: 0, out: '', err: '' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const made = parse(readFileSync(path, 'utf8')) as { postgresql: { bin_dir: string }; etcd3: { hosts: string } };
    expect(made.postgresql.bin_dir).toBe(join(home, 'bin'));
    expect(made.etcd3.hosts).toBe(TO_FILL_IN);
    const store = { PATRONI_ETCD3_HOSTS: `127.0.0.1:${portOf(etcd)}` };
    const examined = examineLocal({ path, env: store });
    expect(examined.problems.filter(({ path: place }) => place !== 'thread_pool_size')).toEqual([]);
    expect(examined.local?.bootstrap).not.toBeNull();
    expect(await patroni(['--validate-config', '-i', path], store)).toMatchObject({ code: 0, err: '' });
  });

  it('takes the place of a file that others may read', async () => {
    const path = file('old.yml', 'mine: 1\n');
    chmodSync(path, 0o644);
    const reader = openSync(path, 'r');
    expect(await patroni(['--generate-sample-config', path], env())).toMatchObject({ code: 0, err: '' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toContain('secret');
    // Whoever has opened it before reads the old text.
    expect(readFileSync(reader, 'utf8')).toBe('mine: 1\n');
    closeSync(reader);
    expect(readdirSync(home).filter((name) => name.startsWith('old.yml'))).toEqual(['old.yml']);
  });

  it('goes through a link to the file, and into a pipe', async () => {
    const path = file('linked.yml', '');
    symlinkSync(path, join(home, 'link.yml'));
    expect(await patroni(['--generate-sample-config', join(home, 'link.yml')], env())).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(path, 'utf8')).toContain('secret');
    const pipe = join(home, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const reader = openSync(pipe, 'r+');
    expect(await patroni(['--generate-sample-config', pipe], env())).toMatchObject({ code: 0, err: '' });
    expect(statSync(pipe).isFIFO()).toBe(true);
    const received = Buffer.alloc(65_536);
    expect(received.toString('utf8', 0, readSync(reader, received))).toContain('secret');
    closeSync(reader);
  });

  it('asks for the password beside standard output, which may be the file', async () => {
    const fields = ['SFATAL', 'C28P01', 'Mwho are you', ''].map((field) => `${field}\0`).join('');
    const refusal = Buffer.concat([Buffer.from('E'), Buffer.alloc(4), Buffer.from(fields)]);
    refusal.writeInt32BE(refusal.length - 1, 1);
    const stern = createServer((socket) => void socket.once('data', () => socket.end(refusal))).listen(0, '127.0.0.1');
    await once(stern, 'listening');
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    terminal.write('hush\r');
    const asked = await patroni(['--generate-config', '--dsn', `host=127.0.0.1 port=${portOf(stern)} sslmode=disable`], env(), terminal);
    stern.close();
    expect(asked).toMatchObject({ code: 1, out: '' });
    expect(asked.err).toMatch(/Please enter the user password: .*\n.*who are you/);
    expect(asked.err).not.toContain('hush');
  });

  it('has its sections in order, a blank line before each, and no line break at its end', () => {
    const text = documentOf(configOf({ postgresql: { bin_dir: '/bin' } }, env(), '10.0.0.9'));
    expect([...text.matchAll(/^(\w+):/gm)].map((match) => match[1])).toEqual([
      'scope',
      'name',
      'log',
      'restapi',
      'etcd3',
      'bootstrap',
      'postgresql',
      'tags',
    ]);
    expect(text).toMatch(/^scope: demo\nname: .*\n\nlog:\n/);
    expect(text).toMatch(/\n\n# [^\n]*\n# [^\n]*\nbootstrap:\n {2}dcs:\n {4}loop_wait: 10\n {4}retry_timeout: 10\n {4}ttl: 30\n/);
    expect(text).not.toMatch(/\n$/);
    expect(text).toContain('listen: 10.0.0.9:5432');
  });

  it('cannot be made without PostgreSQL’s programs, or without a server', async () => {
    const none = { ...env(), PATRONI_POSTGRESQL_BIN_DIR: join(home, 'strange') };
    expect(await patroni(['--generate-sample-config'], none)).toMatchObject({
      code: 1,
      err: expect.stringContaining('programs were not found in') as string,
    });
    expect(await patroni(['--generate-config', '--dsn', 'host=127.0.0.1 port=1'], env())).toMatchObject({
      code: 1,
      err: expect.stringContaining('could not connect to PostgreSQL at 127.0.0.1:1') as string,
    });
    expect(await patroni(['--generate-config', '--dsn', 'what is this'], env())).toMatchObject({ code: 1, out: '' });
  });

  it.each([
    ["host=h port=6000 user=u password='p w' dbname=d", { host: 'h', port: 6000, user: 'u', password: 'p w', database: 'd' }],
    ['postgresql://u:p%20w@h:6000/d?sslmode=require', { host: 'h', port: 6000, user: 'u', password: 'p w', sslmode: 'require' }],
    [null, { host: 'env', port: 7000, user: 'me', password: 'pw', database: 'postgres', sslmode: null }],
  ])('connects by %s', (dsn, expected) => {
    const env = { PGHOST: 'env', PGPORT: '7000', PGUSER: 'me', PGPASSWORD: 'pw' };
    expect(targetOf(dsn, env)).toMatchObject(expected);
  });
});
