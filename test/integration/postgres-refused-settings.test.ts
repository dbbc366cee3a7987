/** What is written is judged by PostgreSQL's own programs; no server is started. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfWriter } from '../../src/adapters/postgres/conf-writer.ts';
import { runner } from '../../src/adapters/postgres/local-server.ts';
import type { ServerRole } from '../../src/core/effects.ts';
import type { Settings } from '../../src/core/settings.ts';
import { commandLineArguments } from '../../src/pgconf/server-config.ts';
import { postgresOwner } from './support/bare-postgres.ts';
import { recordingLog, settingsFor, temporaryHome } from './support/postgres.ts';

const STANDBY: ServerRole = { kind: 'standby', source: { name: 'pg-2', host: '10.0.0.12', port: 5433 } };
const owner = process.getuid?.() === 0 ? postgresOwner() : null;
const log = recordingLog();

const hostile = {
  work_mem: '5',
  max_wal_size: '99999999999999',
  checkpoint_timeout: '2d',
  wal_level: 'nope',
  archive_mode: 'perhaps',
  log_destination: 'moon',
  TimeZone: 'Mars/Base',
  no_such_setting: '1',
  'my.own': "it's \\ 'quoted'\nand broken",
  'bad-name': 'x',
  include: '/etc/passwd',
  lc_messages: 'xx_YY',
  log_line_prefix: '%m [%p] %q%u@%d ',
  random_page_cost: '-3',
  primary_conninfo: 'host=evil',
};

let home: Awaited<ReturnType<typeof temporaryHome>>;
let settings: Settings;

/** One of PostgreSQL's programs, as its user. */
function program(by: Settings, name: string, ...args: string[]): string {
  return execFileSync(join(by.postgresql.binDir, name), args, { ...(owner ?? {}), encoding: 'utf8', stdio: 'pipe', cwd: '/' });
}

beforeAll(async () => {
  home = await temporaryHome();
  settings = settingsFor({ home: home.path, name: 'check', port: 5432, parameters: hostile });
  mkdirSync(settings.postgresql.dataDir, { mode: 0o700 });
  if (owner) await chown(settings.postgresql.dataDir, owner.uid, owner.gid);
});
afterAll(() => home.remove());

describe('settings that PostgreSQL would refuse', () => {
  test('never reach the file: the rest is accepted, clamped where that is possible', async () => {
    const writer = new ConfWriter({ run: runner(owner), log, runAs: owner });
    await writer.writeServerFiles(settings, STANDBY, 'ANY 1 ("pg-1")', 15, null);
    const value = (name: string) => program(settings, 'postgres', '-D', settings.postgresql.dataDir, '-C', name).replace(/\n$/, '');
    expect(value('work_mem')).toBe('64');
    expect(value('max_wal_size')).toBe('2147483647');
    expect(value('checkpoint_timeout')).toBe('86400');
    expect(value('random_page_cost')).toBe('0');
    expect(value('my.own')).toBe(hostile['my.own']);
    expect(value('wal_level')).toBe('replica');
    expect(value('archive_mode')).toBe('off');
    expect(value('synchronous_standby_names')).toBe('ANY 1 ("pg-1")');
    expect(value('primary_conninfo')).toContain('host=10.0.0.12 port=5433');
    expect(value('log_line_prefix')).toBe(hostile.log_line_prefix);
    expect(readFileSync(join(settings.postgresql.dataDir, 'postgresql.conf'), 'utf8')).not.toMatch(/moon|Mars|no_such|perhaps|evil|passwd/);
  });

  test('PostgreSQL understands every argument of the command line', () => {
    const args = commandLineArguments(settings, 15, { max_connections: 400 });
    expect(program(settings, 'postgres', '-D', settings.postgresql.dataDir, ...args, '-C', 'max_connections').trim()).toBe('400');
  });
});
