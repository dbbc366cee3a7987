/**
 * Which files are written for a role, with PostgreSQL's judgement played by the test. The real one:
 * test/integration/postgres-config.test.ts.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { ended } from '../../../test/support/ended.ts';
import type { ServerRole } from '../../core/effects.ts';
import type { Settings } from '../../core/settings.ts';
import { parseConf } from '../../pgconf/guc.ts';
import { commandLineArguments } from '../../pgconf/server-config.ts';
import type { RunResult } from '../../support/exec.ts';
import { ConfWriter } from './conf-writer.ts';
import { besidePath } from './marks.ts';
import { removeSignalFiles } from './signal-files.ts';

const PRIMARY: ServerRole = { kind: 'primary' };
const STANDBY: ServerRole = { kind: 'standby', source: { name: 'pg-2', host: '10.0.0.12', port: 5432 } };
const GOOD = ended({ stdout: '5432\n' });

let home: string;
let settings: Settings;
let asked: string[];
let answers: RunResult[];
let log: ReturnType<typeof keptLog>;
let writer: ConfWriter;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-conf-'));
  mkdirSync(join(home, 'data'), { mode: 0o700 });
  settings = someSettings({
    postgresql: { dataDir: join(home, 'data'), configDir: join(home, 'data'), pgpass: join(home, 'pass', 'pgpass') },
  });
  asked = [];
  answers = [];
  log = keptLog();
  const run = async (_file: string, args: readonly string[]) => {
    asked.push(readFileSync(join(String(args[1]), 'postgresql.conf'), 'utf8'));
    return answers.shift() ?? GOOD;
  };
  writer = new ConfWriter({ run, log });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const path = (name: string) => join(home, 'data', name);
const read = (name: string) => readFileSync(path(name), 'utf8');
const conf = () => parseConf(read('postgresql.conf'));
const write = (role: ServerRole, syncNames: string | null = null, control: { max_connections?: number } | null = null) =>
  writer.writeServerFiles(settings, role, syncNames, 15, control);
const names = (outcome: { changedFiles: string[] }) => outcome.changedFiles.map((file) => file.slice(home.length + 1)).sort();
const refusal = (line: string): RunResult => ({
  ...GOOD,
  code: 1,
  stderr: `x LOG:  ${line}\nx FATAL:  configuration file "postgresql.conf" contains errors\n`,
});

describe('a standby', () => {
  test('gets its signal, its passfile and its configuration; written again, nothing changes', async () => {
    writeFileSync(path('postgresql.conf'), "log_timezone = 'UTC'\n", { mode: 0o600 });
    const outcome = await write(STANDBY);
    expect(names(outcome)).toEqual([
      'data/pg_ident.conf',
      'data/postgresql.base.conf',
      'data/postgresql.conf',
      'data/standby.signal',
      'pass/pgpass',
    ]);
    expect(read('postgresql.base.conf')).toBe("log_timezone = 'UTC'\n");
    expect(conf()).toMatchObject({ include: 'postgresql.base.conf', primary_slot_name: 'pg_1', recovery_target_timeline: 'latest' });
    expect(readFileSync(join(home, 'pass', 'pgpass'), 'utf8')).toBe('10.0.0.12:5432:*:postgres:secret\n');
    expect(statSync(join(home, 'pass', 'pgpass')).mode & 0o777).toBe(0o600);
    expect(await write(STANDBY)).toEqual({ changed: false, changedFiles: [], notWritten: [], ofRole: null });
    expect(asked).toHaveLength(1);
  });

  test('starts with what its control file demands, and returns to the configured values once it runs', async () => {
    await write(STANDBY, null, { max_connections: 300 });
    expect(conf()['max_connections']).toBe('300');
    expect(names(await write(STANDBY))).toEqual(['data/postgresql.conf']);
    expect(conf()['max_connections']).toBe('100');
  });

  test('has no other signal file, which PostgreSQL would leave there after a promotion', async () => {
    writeFileSync(path('recovery.signal'), '');
    await write(STANDBY);
    expect(existsSync(path('standby.signal'))).toBe(true);
    expect(existsSync(path('recovery.signal'))).toBe(false);
  });

  test("keeps its signal when a primary's files are written over it; only removeSignalFiles removes it", async () => {
    await write(STANDBY);
    await write(PRIMARY);
    expect(existsSync(path('standby.signal'))).toBe(true);
    expect(conf()).not.toHaveProperty('primary_conninfo');
    await removeSignalFiles(settings);
    expect(existsSync(path('standby.signal'))).toBe(false);
  });
});

describe('the base file', () => {
  test('is the original once and for all', async () => {
    writeFileSync(path('postgresql.conf'), 'original');
    await write(PRIMARY);
    writeFileSync(path('postgresql.conf'), 'edited by hand');
    await write(PRIMARY);
    expect(read('postgresql.base.conf')).toBe('original');
    expect(conf()['port']).toBe('5432');
  });

  test('has the name that config_base_name gives it, and what initdb has left in it', async () => {
    settings = { ...settings, postgresql: { ...settings.postgresql, configBaseName: 'custom' } };
    writeFileSync(path('postgresql.conf'), 'work_mem = 1MB\n');
    expect(names(await write(PRIMARY))).toEqual(expect.arrayContaining(['data/custom.base.conf', 'data/custom.conf']));
    expect(read('custom.base.conf')).toBe('work_mem = 1MB\n');
    expect(parseConf(read('custom.conf'))).toMatchObject({ include: 'custom.base.conf', port: '5432' });
    expect(read('postgresql.conf')).toBe('work_mem = 1MB\n');
    expect(commandLineArguments(settings, 15)).toContain(`--config-file=${path('custom.conf')}`);
  });

  test('is never a generated file, which would include itself', async () => {
    writeFileSync(path('postgresql.conf'), "# Do not edit this file manually!\ninclude 'postgresql.base.conf'\n");
    await write(PRIMARY);
    expect(read('postgresql.base.conf')).toBe('');
  });

  test('gives way to custom_conf, which must exist', async () => {
    settings = someSettings({ postgresql: { ...settings.postgresql, customConf: 'mine.conf' } });
    expect((await write(PRIMARY)).ofRole).toMatchObject({ code: 'CUSTOM_CONF_MISSING' });
    writeFileSync(path('mine.conf'), '');
    await write(PRIMARY);
    expect(conf()['include']).toBe('mine.conf');
    expect(existsSync(path('postgresql.base.conf'))).toBe(false);
  });
});

describe("PostgreSQL's objections", () => {
  test('are followed and logged, and asked for again only when something has changed', async () => {
    settings = { ...settings, parameters: { foo: '1', work_mem: '5', autovacuum: 'on' } };
    answers = [
      refusal('unrecognized configuration parameter "foo"'),
      refusal('5 kB is outside the valid range for parameter "work_mem" (64 .. 2147483647)'),
    ];
    await write(PRIMARY);
    expect(conf()).toMatchObject({ work_mem: '64', autovacuum: 'on' });
    expect(conf()).not.toHaveProperty('foo');
    expect(log.lines.filter((line) => line.includes('does not accept'))).toHaveLength(2);
    expect(asked).toHaveLength(3);
    await write(PRIMARY);
    expect(asked).toHaveLength(3);
    settings = { ...settings, parameters: { work_mem: '1MB' } };
    await write(PRIMARY);
    expect(asked).toHaveLength(4);
  });

  test('are told once for as long as they are made, through changes of other settings', async () => {
    const unknown = refusal('unrecognized configuration parameter "foo" in file "/tmp/x/postgresql.conf" line 3');
    const tell = async (parameters: Record<string, string>, ...said: RunResult[]) => {
      settings = { ...settings, parameters };
      answers = said;
      log.lines.length = 0;
      await write(PRIMARY);
      return log.lines.filter((line) => line.includes('does not accept'));
    };
    const told = 'warning Removing invalid parameter foo: PostgreSQL does not accept the setting foo; it is left out';
    const reason = { setting: 'foo', reason: 'unrecognized configuration parameter "foo"' };
    expect(await tell({ foo: '1' }, unknown)).toEqual([`${told} ${JSON.stringify(reason)}`]);
    expect(await tell({ foo: '1', work_mem: '1MB' }, unknown)).toEqual([]);
    expect(await tell({ work_mem: '1MB' })).toEqual([]);
    expect(await tell({ foo: '1' }, unknown)).toHaveLength(1);
  });

  test('that name no setting are traced to it one by one', async () => {
    settings = { ...settings, parameters: { a: '1', b: '2' } };
    const vague = refusal('the moon is full');
    // All together, then each of the four (two are Regent's own), of which the last is the culprit,
    // then the rest.
    answers = [vague, GOOD, GOOD, GOOD, vague];
    await write(PRIMARY);
    expect(conf()).toHaveProperty('a');
    expect(conf()).not.toHaveProperty('b');
  });

  test('that cannot be had do not keep files from being written, and are asked for again', async () => {
    answers = [{ ...GOOD, code: null, signal: 'SIGKILL', cause: 'timeout', timedOut: true }];
    settings = { ...settings, parameters: { work_mem: '1MB' } };
    await write(PRIMARY);
    expect(conf()['work_mem']).toBe('1MB');
    expect(log.lines.join()).toContain('were not checked');
    await write(PRIMARY);
    expect(asked).toHaveLength(2);
  });

  test('apply to recovery settings of the user as well', async () => {
    settings = someSettings({
      postgresql: { ...settings.postgresql, recoveryConf: { recovery_min_apply_delay: 'soon', restore_command: 'cp' } },
    });
    answers = [refusal('invalid value for parameter "recovery_min_apply_delay": "soon"')];
    await write(STANDBY);
    expect(conf()).toMatchObject({ restore_command: 'cp' });
    expect(conf()).not.toHaveProperty('recovery_min_apply_delay');
  });
});

describe('synchronous_standby_names', () => {
  test('survives an agent that has just started and does not know yet', async () => {
    settings = someSettings({ postgresql: settings.postgresql, dynamic: { synchronousMode: 'on' } });
    await write(PRIMARY, '"pg-2"');
    await write(PRIMARY, null);
    expect(conf()['synchronous_standby_names']).toBe('"pg-2"');
    await write(PRIMARY, '');
    expect(conf()['synchronous_standby_names']).toBe('');
  });

  test('of ALTER SYSTEM would overrule it and is taken out, with recovery settings', async () => {
    const auto = "# keep\nwork_mem = '1MB'\nsynchronous_standby_names = ''\nprimary_conninfo = 'host=old'\n";
    writeFileSync(path('postgresql.auto.conf'), auto);
    await write(PRIMARY);
    expect(read('postgresql.auto.conf')).toBe("# keep\nwork_mem = '1MB'\nsynchronous_standby_names = ''\n");
    await write(PRIMARY, '"pg-2"');
    expect(read('postgresql.auto.conf')).toBe("# keep\nwork_mem = '1MB'\n");
    expect(read('postgresql.auto.conf.before-regent')).toBe(auto);
  });
});

test('a file that another program wrote is copied before it is overwritten; one that is being made is not', async () => {
  settings = { ...settings, postgresql: { ...settings.postgresql, pgHba: ['local all all peer'] } };
  const copies = () => readdirSync(path('.')).filter((name) => name.endsWith('.before-regent'));
  const theirs = () => {
    for (const name of ['pg_hba.conf', 'postgresql.conf']) writeFileSync(path(name), '# theirs\n');
  };
  theirs();
  writeFileSync(besidePath(settings.postgresql.dataDir, 'incomplete'), 'bootstrap\n');
  await write(PRIMARY);
  expect(copies()).toEqual([]);
  rmSync(besidePath(settings.postgresql.dataDir, 'incomplete'));
  theirs();
  await write(PRIMARY);
  expect(copies().sort()).toEqual(['pg_hba.conf.before-regent', 'postgresql.conf.before-regent']);
  expect(read('pg_hba.conf.before-regent')).toBe('# theirs\n');
  settings = { ...settings, postgresql: { ...settings.postgresql, pgHba: ['local all all trust'] } };
  await write(PRIMARY);
  expect(read('pg_hba.conf.before-regent')).toBe('# theirs\n');
});

test('files that vanished come back from their copies, and a passfile that is not a file is left alone', async () => {
  writeFileSync(path('pg_hba.conf.backup'), 'local all all peer\n');
  await write(PRIMARY);
  expect(read('pg_hba.conf')).toBe('local all all peer\n');
  expect(readdirSync(path('.')).filter((name) => name.includes('.new'))).toEqual([]);
  mkdirSync(settings.postgresql.pgpass, { recursive: true });
  expect((await write(STANDBY)).notWritten).toEqual([`${settings.postgresql.pgpass} is not a regular file and cannot hold passwords`]);
});

describe('a file that cannot be written', () => {
  /** A directory in its place, because the tests may run as root. */
  const block = (name: string) => mkdirSync(path(`${name}/in the way`), { recursive: true });

  test('is reported, and keeps nothing from being written that PostgreSQL needs for its role', async () => {
    settings = { ...settings, postgresql: { ...settings.postgresql, pgHba: ['local all all trust'], pgIdent: ['m a b'] } };
    await write(STANDBY);
    rmSync(path('pg_hba.conf'));
    block('pg_hba.conf');
    mkdirSync(`${settings.postgresql.pgpass}.d`);
    rmSync(settings.postgresql.pgpass);
    mkdirSync(settings.postgresql.pgpass);
    settings = { ...settings, postgresql: { ...settings.postgresql, pgIdent: ['m a c'] } };
    const { changedFiles, notWritten } = await write({ kind: 'standby', source: { name: 'pg-3', host: '10.0.0.13', port: 5432 } });
    expect(changedFiles.map((file) => file.slice(home.length + 1))).toEqual(['data/postgresql.conf', 'data/pg_ident.conf']);
    expect(conf()['primary_conninfo']).toContain('host=10.0.0.13');
    expect(notWritten).toEqual([expect.stringContaining('pgpass'), expect.stringMatching(/^could not write .*pg_hba\.conf: EISDIR[^']*$/)]);
  });

  test('is not looked at where only the role is asked for', async () => {
    settings = { ...settings, postgresql: { ...settings.postgresql, pgHba: ['local all all trust'] } };
    block('pg_hba.conf');
    const letGo = await writer.writeServerFiles(settings, { kind: 'standby', source: null }, null, 15, null, 'role');
    expect(letGo.notWritten).toEqual([]);
    expect(conf()['primary_conninfo']).toBe('');
  });

  test('does not keep the others from being written where it has the role, and is reported apart', async () => {
    settings = { ...settings, postgresql: { ...settings.postgresql, pgHba: ['local all all trust'] } };
    block('postgresql.conf');
    expect(await write(STANDBY)).toMatchObject({ changed: true, notWritten: [], ofRole: { message: expect.stringContaining('EISDIR') } });
    expect(read('pg_hba.conf')).toContain('local all all trust');
  });
});

test('socket directories that are missing are made', async () => {
  settings = { ...settings, parameters: { unix_socket_directories: `${home}/run/a, @abstract,"${home}/run/b"` } };
  await write(PRIMARY);
  expect(readdirSync(join(home, 'run'))).toEqual(['a', 'b']);
  writeFileSync(join(home, 'file'), '');
  settings = { ...settings, parameters: { unix_socket_directories: `${home}/file/a` } };
  await write(PRIMARY);
  expect(conf()['unix_socket_directories']).toBe(`${home}/file/a`);
  expect(log.lines.join()).toContain('could not be created');
});
