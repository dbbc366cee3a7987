/** What a postmaster gets from the agent, and what becomes of the file that takes its output. */
import { spawn } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { serverEnvironment, trimOutput, underPerl } from './spawn.ts';

let home: string;
let before: NodeJS.ProcessEnv;
let running: { readonly pid: number } | null;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-spawn-'));
  before = { ...process.env };
  running = null;
});
afterEach(() => {
  process.env = before;
  rmSync(home, { recursive: true, force: true });
});

function serverWith(dir: string | null = null) {
  const settings = someSettings({ postgresql: { dataDir: join(home, 'data') } });
  return {
    settings: { ...settings, local: { ...settings.local, log: { ...settings.local.log, dir } } },
    stateDir: null,
    watch: { current: () => running },
  };
}

test.each([
  'PGPASSWORD',
  'PGSERVICE',
  'PGOPTIONS',
  'PGSSLMODE',
  'PGHOSTADDR',
  'PGPASSFILE',
  'PGPORT',
  'PGUSER',
  'PGTARGETSESSIONATTRS',
  'PATRONI_SUPERUSER_PASSWORD',
])('%s of the agent is not inherited', (name) => {
  process.env[name] = 'x';
  expect(serverEnvironment(serverWith())).not.toHaveProperty(name);
});

test.each(['PGDATA', 'PGBACKREST_STANZA', 'WALG_S3_PREFIX', 'PG_OOM_ADJUST_FILE', 'PATH', 'TZ'])(
  '%s is: archive_command and the like need it',
  (name) => {
    process.env[name] = 'x';
    expect(serverEnvironment(serverWith())[name]).toBe('x');
  },
);

test('settings of perl are for PostgreSQL, not for the program that becomes it', () => {
  const env = { PATH: '/bin', PERL5LIB: '/opt/lib', PERL5OPT: '-MNo::Such' };
  expect(underPerl([], env)).toEqual({ before: [], env });
  expect(underPerl(['perl', '-e', '1'], env)).toEqual({
    before: ['perl', '-e', '1', 'PERL5LIB=/opt/lib', 'PERL5OPT=-MNo::Such'],
    env: { PATH: '/bin', PERL_BADLANG: '0' },
  });
});

test('the file of its output is cut at 32 MiB while the server writes on, and one older part is kept', async () => {
  const path = join(home, 'data.postgres.log');
  const server = openSync(path, 'a');
  try {
    writeFileSync(path, Buffer.alloc(32 * 1024 * 1024 + 1, 'x'));
    await trimOutput(serverWith());
    expect(statSync(path).size).toBe(0);
    expect(statSync(`${path}.1`).size).toBe(32 * 1024 * 1024 + 1);
    appendFileSync(server, 'goes on\n');
    expect(readFileSync(path, 'utf8')).toBe('goes on\n');
    await trimOutput(serverWith());
    expect(readFileSync(path, 'utf8')).toBe('goes on\n');
  } finally {
    closeSync(server);
  }
});

test('the file is cut where there is no room for the older part, and where log.dir has changed since', async () => {
  const path = join(home, 'data.postgres.log');
  writeFileSync(path, Buffer.alloc(32 * 1024 * 1024 + 1, 'x'));
  // Nothing can be copied to a directory.
  mkdirSync(`${path}.1`);
  await expect(trimOutput(serverWith())).rejects.toThrow();
  expect(statSync(path).size).toBe(0);

  const former = join(home, 'former');
  mkdirSync(former);
  const output = openSync(join(former, 'data.postgres.log'), 'a');
  const server = spawn('sleep', ['60'], { stdio: ['ignore', output, output] });
  try {
    writeFileSync(output, Buffer.alloc(32 * 1024 * 1024 + 1, 'x'));
    running = { pid: server.pid ?? 0 };
    await trimOutput(serverWith(home));
    expect(statSync(join(former, 'data.postgres.log')).size).toBe(0);
  } finally {
    server.kill('SIGKILL');
    closeSync(output);
  }
});
