/**
 * What is kept of somebody's configuration, and how a refusal is told. With a real server:
 * test/integration/postgres-adopt.test.ts.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import type { Settings } from '../../core/settings.ts';
import { parseConf } from '../../pgconf/guc.ts';
import { FILE_HEADER } from '../../pgconf/server-config.ts';
import { keepBefore } from './before.ts';
import { localDoors } from './doors.ts';
import { flattened, movedAccessFile } from './flatten.ts';
import { besidePath } from './marks.ts';
import { isManaged, lastConfigFile } from './origin.ts';
import { forgetKeptBase, keepOwnBase, settleBase } from './own-base.ts';
import { refusalMend } from './refusal.ts';
import { keepOrigin } from './takeover.ts';

let home: string;
let etc: string;
let data: string;
let settings: Settings;
const log = keptLog();

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-takeover-'));
  data = join(home, 'data');
  etc = join(home, 'etc');
  for (const path of [join(data, 'global'), join(etc, 'conf.d')]) mkdirSync(path, { recursive: true });
  writeFileSync(join(data, 'PG_VERSION'), '15\n');
  writeFileSync(join(data, 'global', 'pg_control'), '');
  settings = someSettings({ postgresql: { dataDir: data, configDir: data } });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const write = (directory: string, files: Readonly<Record<string, string>>) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
};
const read = (path: string) => readFileSync(path, 'utf8');

/** As pg_createcluster leaves it. */
function debian(): void {
  write(etc, {
    'postgresql.conf': `data_directory = '${data}'\nhba_file = '${etc}/pg_hba.conf'\nexternal_pid_file = '/run/15-main.pid'\nshared_buffers = 200MB\ninclude_dir = 'conf.d'\ninclude_if_exists = 'none.conf'\n`,
    'conf.d/b.conf': 'work_mem = 5MB\n',
    'conf.d/a.conf': 'work_mem = 3MB\nwal_buffers = 1MB\n',
    'conf.d/not': 'work_mem = 1MB\n',
  });
  write(data, { 'postmaster.opts': `/usr/bin/postgres "-D" "${data}" "-c" "config_file=${etc}/postgresql.conf"\n` });
}

describe('the configuration of a server that is taken over', () => {
  test('goes into one file, in the order in which it counted, without its places', async () => {
    debian();
    const text = await flattened(join(etc, 'postgresql.conf'));
    expect(parseConf(text)).toEqual({
      external_pid_file: '/run/15-main.pid',
      shared_buffers: '200MB',
      work_mem: '5MB',
      wal_buffers: '1MB',
    });
    await expect(flattened(join(etc, 'none.conf'))).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' });
    write(etc, { 'loop.conf': `include 'loop.conf'\n` });
    await expect(flattened(join(etc, 'loop.conf'))).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' });
  });

  test('access files still find the files they include', () => {
    const text = 'include extra.conf\n# @x\nlocal @dbs,a @/abs/users peer map=m\nhost all "a@b" samehost scram-sha-256\n';
    expect(movedAccessFile(text, '/etc/pg')).toBe(
      'include "/etc/pg/extra.conf"\n# @x\nlocal @/etc/pg/dbs,a @/abs/users peer map=m\nhost all "a@b" samehost scram-sha-256\n',
    );
  });

  test('of a stopped server, elsewhere, is not dropped: the start is refused with the line to write', async () => {
    debian();
    const heartbeat = { open: () => Promise.reject(new Error('down')), query: () => Promise.reject(new Error('down')) };
    const server = { settings, role: null, log, runAs: null, watch: { current: () => null }, heartbeat };
    await expect(keepOrigin(server)).rejects.toMatchObject({
      code: 'CONFIG_ELSEWHERE',
      message: expect.stringContaining(`${etc}/postgresql.conf`),
      mend: expect.stringContaining(`postgresql.config_dir: ${etc}`),
    });
    const told = someSettings({ postgresql: { dataDir: data, configDir: etc } });
    expect(await keepOrigin({ ...server, settings: told })).toBe(false);
    // The files an agent wrote are what the next start is meant to use.
    write(data, { 'postgresql.conf': `${FILE_HEADER}\n` });
    expect(await keepOrigin(server)).toBe(false);
    expect(await isManaged(settings)).toBe(true);
  });

  test('is known by the way the server was started', async () => {
    expect(await lastConfigFile(data)).toBe(null);
    for (const [opts, file] of [
      [`/x "-D" "/etc/pg"`, '/etc/pg/postgresql.conf'],
      [`/x "-D/d" "--config_file=/c d/p.conf"`, '/c d/p.conf'],
      [`/x "-D" "/d" "--config-file=/c/p.conf"`, '/c/p.conf'],
    ] as const) {
      write(data, { 'postmaster.opts': `${opts}\n` });
      expect(await lastConfigFile(data)).toBe(file);
    }
    debian();
    expect(await isManaged(settings)).toBe(false);
    write(etc, { 'postgresql.conf': '# Do not edit this file manually!\n' });
    expect(await isManaged(settings)).toBe(true);
  });

  test('is copied before it is overwritten, once', async () => {
    writeFileSync(join(etc, 'pg_hba.conf'), 'first', { mode: 0o640 });
    const copy = join(etc, 'pg_hba.conf.before-regent');
    expect(await keepBefore(join(etc, 'pg_hba.conf'), null, etc)).toBe(true);
    write(etc, { 'pg_hba.conf': 'second' });
    expect(await keepBefore(join(etc, 'pg_hba.conf'), null, etc)).toBe(false);
    expect([read(copy), statSync(copy).mode & 0o777]).toEqual(['first', 0o640]);
    expect(await keepBefore(join(etc, 'missing'), null, etc)).toBe(false);
  });
});

describe('the base configuration in a clone', () => {
  const base = () => join(data, 'postgresql.base.conf');
  const remake = (text: string, version = '15') => {
    rmSync(data, { recursive: true });
    mkdirSync(data);
    write(data, { PG_VERSION: `${version}\n`, 'postgresql.base.conf': text });
  };

  test('of a leader loses that leader’s places and what it includes there', async () => {
    remake(
      `data_directory = '/other'\nexternal_pid_file='/run/x'\nhba_file='/etc/x'\nident_file='/etc/y'\ninclude_dir 'conf.d'\ninclude 'here.conf'\nwork_mem = 7MB\n`,
    );
    write(data, { 'here.conf': '' });
    await settleBase(settings, log, null);
    expect(parseConf(read(base()))).toEqual({ include: 'here.conf', work_mem: '7MB' });
  });

  test('is this node’s own where it had one, of the same major version', async () => {
    for (const [version, memory] of [
      ['15', '1MB'],
      ['16', '9MB'],
    ]) {
      mkdirSync(join(data, 'global'), { recursive: true });
      write(data, { PG_VERSION: '15\n', 'global/pg_control': '', 'postgresql.base.conf': 'work_mem = 1MB\n' });
      await keepOwnBase(settings, null);
      remake('work_mem = 9MB\n', version);
      await keepOwnBase(settings, null);
      await settleBase(settings, log, null);
      expect(parseConf(read(base()))['work_mem']).toBe(memory);
      await forgetKeptBase(data);
      expect(existsSync(besidePath(data, 'base.conf'))).toBe(false);
    }
  });

  test('in a directory of its own is not touched, and not kept twice', async () => {
    const apart = someSettings({ postgresql: { dataDir: data, configDir: etc } });
    write(etc, {
      'postgresql.base.conf': `data_directory = '${data}'\n`,
      'postgresql.conf': FILE_HEADER,
      'pg_hba.conf': '',
      'pg_ident.conf': '',
    });
    write(data, { 'postgresql.base.conf': 'work_mem = 9MB\n' });
    await keepOwnBase(apart, null);
    await settleBase(apart, log, null);
    expect(read(join(etc, 'postgresql.base.conf'))).toBe(`data_directory = '${data}'\n`);
    expect(existsSync(besidePath(data, 'base.conf'))).toBe(false);
  });
});

test.each([
  ['password authentication failed for user "postgres"', /ALTER ROLE "postgres" PASSWORD/],
  ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string', /postgresql\.authentication\.superuser\.password/],
  ['role "postgres" does not exist', /CREATE ROLE "postgres" SUPERUSER LOGIN/],
  ['no pg_hba.conf entry for host "127.0.0.1", user "postgres"', /: host postgres postgres 127\.0\.0\.1\/32 scram-sha-256$/],
  ['role "postgres" is not permitted to log in', /ALTER ROLE "postgres" LOGIN/],
])('a refusal tells what would let the agent in: %s', (words, mend) => {
  expect(refusalMend(settings, [{ door: { host: '127.0.0.1', port: 5432 }, error: new Error(words) }])).toMatch(mend);
});

test('a refusal at both doors names both ways', () => {
  const mend = refusalMend(settings, [
    { door: { host: '::1', port: 5432 }, error: new Error('no pg_hba.conf entry for host "::1"') },
    { door: { host: '/run/postgresql', port: 5432 }, error: new Error('Peer authentication failed for user "postgres"') },
  ]);
  expect(mend).toContain('host postgres postgres ::1/128 scram-sha-256; or run the agent as the operating-system user postgres');
});

test('the doors are the running server’s addresses, then the socket; a socket without a path is none', () => {
  const pidFile = (host: string, socket: string) =>
    write(data, { 'postmaster.pid': `${process.pid}\n${data}\n1\n6543\n${socket}\n${host}\n` });
  const socket = { host: '/run/pg', port: 6543 };
  pidFile('*', '/run/pg');
  expect(localDoors(settings)).toEqual([{ host: '127.0.0.1', port: 6543 }, socket]);
  const first = someSettings({ postgresql: { dataDir: data, configDir: data, useUnixSocket: true } });
  expect(localDoors(first)).toEqual([socket, { host: '127.0.0.1', port: 6543 }]);
  pidFile('', '/run/pg');
  expect(localDoors(settings)).toEqual([socket]);
  pidFile('::', '@abstract');
  expect(localDoors(first)).toEqual([{ host: '::1', port: 6543 }]);
});
