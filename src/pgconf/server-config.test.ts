import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type SettingsOver, someSettings } from '../../test/fixtures/agent.ts';
import type { ServerRole } from '../core/effects.ts';
import type { Settings } from '../core/settings.ts';
import { parseConf } from './guc.ts';
import { CONTROLLED_GUCS, isControlled, RECOVERY_GUCS } from './guc-table.ts';
import {
  commandLineArguments,
  FILE_HEADER,
  isGenerated,
  mainGucs,
  mainPart,
  patienceGucs,
  programConninfo,
  raisedByControl,
  recoveryGucs,
  renderAccessFile,
  renderPassfile,
  renderPostgresqlConf,
  STRICT_PLACEHOLDER,
  synchronousNames,
} from './server-config.ts';

const PRIMARY: ServerRole = { kind: 'primary' };
const STANDBY: ServerRole = { kind: 'standby', source: { name: 'pg-2', host: '10.0.0.12', port: 5433 } };
const ALONE: ServerRole = { kind: 'standby', source: null };

interface Over extends SettingsOver {
  readonly parameters?: Settings['parameters'];
  readonly controlledParameters?: Settings['controlledParameters'];
}

function settings({ parameters = {}, controlledParameters = {}, ...over }: Over = {}): Settings {
  return {
    ...someSettings({ ...over, postgresql: { configDir: '/etc/pg', pgpass: '/home/pg/pgpass', ...over.postgresql } }),
    parameters,
    controlledParameters,
  };
}

const gucName = fc.stringMatching(/^[a-zA-Z_][a-z0-9_]{0,15}$/);
const anyGucs = fc.dictionary(fc.oneof(gucName, fc.constantFrom(...CONTROLLED_GUCS, ...RECOVERY_GUCS), fc.string()), fc.string(), {
  noNullPrototype: true,
});

describe('the main part', () => {
  test('holds what a cluster needs unless the user said otherwise', () => {
    expect(mainGucs(settings(), PRIMARY)).toEqual({ wal_retrieve_retry_interval: '100ms', wal_keep_size: '128MB' });
    const given = { Wal_Retrieve_Retry_Interval: '1s', wal_keep_size: '1GB' };
    expect(mainGucs(settings({ parameters: given }), PRIMARY)).toEqual({ wal_retrieve_retry_interval: '1s', wal_keep_size: '1GB' });
  });

  test('tells a standby whose tries keep failing to be patient, unless the user says how often', () => {
    const patient = { ...STANDBY, patient: true } as const;
    expect(patienceGucs(settings(), patient)).toEqual({ wal_retrieve_retry_interval: '5s' });
    expect(patienceGucs(settings(), STANDBY)).toEqual({});
    expect(patienceGucs(settings({ parameters: { wal_retrieve_retry_interval: '1s' } }), patient)).toEqual({});
    expect(patienceGucs(settings(), PRIMARY)).toEqual({});
  });

  test('wal_keep_segments of older configurations becomes a size', () => {
    expect(mainGucs(settings({ parameters: { wal_keep_segments: '64' } }), PRIMARY)).toMatchObject({ wal_keep_size: '1024MB' });
    expect(mainGucs(settings({ parameters: { wal_keep_segments: 'x' } }), PRIMARY)).toMatchObject({ wal_keep_size: '128MB' });
    expect(mainGucs(settings({ parameters: { wal_keep_segments: '64', wal_keep_size: '32MB' } }), PRIMARY)).toMatchObject({
      wal_keep_size: '32MB',
    });
  });

  test('never holds a controlled or recovery setting, a directive, or a name the file cannot have', () => {
    fc.assert(
      fc.property(anyGucs, (parameters) => {
        for (const name of Object.keys(mainGucs(settings({ parameters }), STANDBY))) {
          expect(isControlled(name) || RECOVERY_GUCS.has(name)).toBe(false);
          expect(name).toMatch(/^[a-z_][a-z0-9_$.]*$/);
          expect(name).not.toMatch(/^include/);
        }
      }),
    );
  });

  test('standbys of permanent logical slots give feedback', () => {
    const logicalSlot = { dynamic: { slots: { app: { type: 'logical', database: 'app', plugin: 'pgoutput' } } } } as const;
    const logical = settings(logicalSlot);
    const noStream = { ...logical, local: { ...logical.local, tags: { nostream: true } } };
    expect(mainGucs(logical, STANDBY)).toMatchObject({ hot_standby_feedback: 'on' });
    expect(mainGucs(logical, PRIMARY)).not.toHaveProperty('hot_standby_feedback');
    expect(mainGucs(noStream, STANDBY)).not.toHaveProperty('hot_standby_feedback');
    expect(mainGucs(settings({ dynamic: { ...logicalSlot.dynamic, useSlots: false } }), STANDBY)).not.toHaveProperty(
      'hot_standby_feedback',
    );
    expect(mainGucs(settings({ dynamic: { slots: { dr: { type: 'physical' } } } }), STANDBY)).not.toHaveProperty('hot_standby_feedback');
  });
});

describe('recovery settings', () => {
  const user = {
    restore_command: 'cp /a/%f %p',
    recovery_target_time: 'now',
    primary_conninfo: 'host=evil',
    Primary_Slot_Name: 'x',
    standby_mode: 'on',
  };

  test('of a standby: the source, its own slot, the newest timeline, no target, and the user’s other settings', () => {
    expect(recoveryGucs(settings({ postgresql: { recoveryConf: user } }), STANDBY, 15)).toEqual({
      restore_command: 'cp /a/%f %p',
      recovery_target: '',
      recovery_target_lsn: '',
      recovery_target_name: '',
      recovery_target_time: '',
      recovery_target_xid: '',
      recovery_target_timeline: 'latest',
      primary_conninfo:
        'dbname=postgres user=postgres passfile=/home/pg/pgpass host=10.0.0.12 port=5433 sslmode=prefer application_name=pg-1 gssencmode=prefer channel_binding=prefer',
      primary_slot_name: 'pg_1',
    });
  });

  test('without a source, and where a standby may not stream, the conninfo is empty', () => {
    for (const [role, over] of [
      [ALONE, {}],
      [STANDBY, { tags: { nostream: true } }],
    ] as const) {
      expect(recoveryGucs(settings(over), role, 15)).toMatchObject({ primary_conninfo: '', primary_slot_name: '' });
    }
    expect(recoveryGucs(settings({ dynamic: { useSlots: false } }), STANDBY, 15)).toMatchObject({ primary_slot_name: '' });
  });

  test('of a primary: the user’s own, which pg_rewind reads', () => {
    expect(recoveryGucs(settings({ parameters: { Restore_Command: 'from parameters' } }), PRIMARY, 15)).toEqual({
      restore_command: 'from parameters',
    });
    expect(recoveryGucs(settings({ postgresql: { recoveryConf: user }, parameters: { restore_command: 'x' } }), PRIMARY, 15)).toEqual({
      restore_command: 'cp /a/%f %p',
    });
  });

  test('leaves out settings that could promote a standby without Regent', () => {
    const given = settings({ postgresql: { recoveryConf: { promote_trigger_file: '/t', trigger_file: '/t' } } });
    expect(recoveryGucs(given, PRIMARY, 15)).toEqual({});
  });
});

describe('synchronous_standby_names', () => {
  const sync = (strict: boolean) => settings({ dynamic: { synchronousMode: 'on', synchronousModeStrict: strict } });
  const user = settings({ parameters: { Synchronous_Standby_Names: 'mine' } });

  test('Regent’s value wins, also when it is empty', () => {
    expect(synchronousNames(user, PRIMARY, 'a', 'b')).toBe('a');
    expect(synchronousNames(sync(true), PRIMARY, '', 'b')).toBe('');
  });

  test('without synchronous mode the user’s value counts, never the one written before', () => {
    expect(synchronousNames(user, PRIMARY, null, 'b')).toBe('mine');
    expect(synchronousNames(settings(), PRIMARY, null, 'b')).toBeNull();
  });

  test('a node does not wait for itself in any role, because it may be promoted with the files it has', () => {
    const me = settings().local.name;
    for (const role of [PRIMARY, STANDBY]) {
      expect(synchronousNames(settings({ parameters: { synchronous_standby_names: `${me}, other` } }), role, null, null)).toBe('other');
      expect(synchronousNames(settings({ parameters: { synchronous_standby_names: `"${me}"` } }), role, null, 'b')).toBe('');
    }
  });

  test('in synchronous mode the promised value stays, and a strict primary waits', () => {
    expect(synchronousNames(sync(false), PRIMARY, null, 'b')).toBe('b');
    expect(synchronousNames(sync(false), PRIMARY, null, null)).toBeNull();
    expect(synchronousNames(sync(true), PRIMARY, null, null)).toBe(STRICT_PLACEHOLDER);
    expect(synchronousNames(sync(true), STANDBY, null, null)).toBeNull();
  });
});

describe('controlled settings and the control file', () => {
  const limits = {
    max_connections: 200,
    max_worker_processes: 4,
    max_wal_senders: 10,
    max_prepared_transactions: 5,
    max_locks_per_transaction: 64,
  };

  test('a standby starts with no less than its primary had', () => {
    expect(raisedByControl(settings(), limits)).toEqual({
      max_connections: { old_value: '200', new_value: '100' },
      max_prepared_transactions: { old_value: '5', new_value: '0' },
    });
    expect(raisedByControl(settings(), null)).toEqual({});
    const args = commandLineArguments(settings(), 15, limits);
    expect(args).toContain('--max_connections=200');
    expect(args).toContain('--max_worker_processes=8');
  });

  test('the arguments say where this node’s files lie, whatever a copied file says, then every controlled setting once', () => {
    const args = commandLineArguments(settings({ controlledParameters: { max_connections: '50' } }), 15);
    const { dataDir } = settings().postgresql;
    expect(args.slice(0, 5)).toEqual([
      '--config-file=/etc/pg/postgresql.conf',
      `--data_directory=${dataDir}`,
      '--hba_file=/etc/pg/pg_hba.conf',
      '--ident_file=/etc/pg/pg_ident.conf',
      '--external_pid_file=pgsql_tmp.regent.pid',
    ]);
    const own = commandLineArguments(settings({ parameters: { hba_file: 'other.conf' } }), 15, null, '/run/pg.pid');
    expect(own).toContain('--hba_file=/etc/pg/other.conf');
    expect(own).toContain('--external_pid_file=/run/pg.pid');
    expect(args.slice(5).map((arg) => /^--(\w+)=/.exec(arg)?.[1])).toEqual([...CONTROLLED_GUCS]);
    expect(args).toContain('--max_connections=50');
    expect(args).toContain('--cluster_name=demo');
  });
});

describe('postgresql.conf', () => {
  test('looks like this', () => {
    const s = settings({ parameters: { work_mem: '8MB', archive_command: "test '%p'" } });
    const main = { ...mainPart(s, mainGucs(s, STANDBY), null, '"pg-2"') };
    for (const name of CONTROLLED_GUCS.slice(3)) delete main[name];
    expect(renderPostgresqlConf({ include: 'postgresql.base.conf', main, recovery: { restore_command: '', primary_slot_name: 'a' } })).toBe(
      `${FILE_HEADER}include 'postgresql.base.conf'

archive_command = 'test ''%p'''
cluster_name = 'demo'
listen_addresses = '0.0.0.0'
port = '5432'
synchronous_standby_names = '"pg-2"'
wal_keep_size = '128MB'
wal_retrieve_retry_interval = '100ms'
work_mem = '8MB'
data_directory = 'data'
hba_file = '/etc/pg/pg_hba.conf'
ident_file = '/etc/pg/pg_ident.conf'

# recovery.conf
primary_slot_name = 'a'
restore_command = ''
`,
    );
  });

  test('is read back unchanged, and is the same text for the same settings in any order', () => {
    fc.assert(
      fc.property(anyGucs, fc.constantFrom(PRIMARY, STANDBY, ALONE), (parameters, role) => {
        const render = (given: Record<string, string>) => {
          const s = settings({ parameters: given });
          const main = mainPart(s, mainGucs(s, role), null, null);
          const recovery = recoveryGucs(s, role, 15);
          return { text: renderPostgresqlConf({ include: 'base', main, recovery }), all: { ...main, ...recovery } };
        };
        const { text, all } = render(parameters);
        const { include, ...read } = parseConf(text);
        expect(include).toBe('base');
        expect(read).toEqual(Object.fromEntries(Object.entries(all).map(([name, value]) => [name, value.replace(/\0/g, '')])));
        const lower = new Set(Object.keys(parameters).map((name) => name.toLowerCase()));
        if (lower.size === Object.keys(parameters).length) {
          expect(render(Object.fromEntries(Object.entries(parameters).reverse())).text).toBe(text);
        }
      }),
    );
  });

  test("is known as generated, as is one of Patroni's", () => {
    expect(isGenerated(FILE_HEADER)).toBe(true);
    expect(isGenerated('# Do not edit this file manually!\n# …')).toBe(true);
    expect(isGenerated('# PostgreSQL configuration file\n# Regent wrote this file\n')).toBe(false);
  });
});

describe('pg_hba.conf and pg_ident.conf', () => {
  test('hold the configured lines under the header', () => {
    const s = settings({ postgresql: { pgHba: ['local all all peer  ', 'host all all all scram-sha-256'], pgIdent: [] } });
    expect(renderAccessFile(s, 'hba')).toBe(`${FILE_HEADER}local all all peer\nhost all all all scram-sha-256\n`);
    expect(renderAccessFile(s, 'ident')).toBe(FILE_HEADER);
  });

  test('belong to the user where nothing is configured or the server reads another file', () => {
    const pgHba = ['local all all peer'];
    expect(renderAccessFile(settings(), 'hba')).toBeNull();
    expect(renderAccessFile(settings({ postgresql: { pgHba }, parameters: { HBA_File: '/other' } }), 'hba')).toBeNull();
    expect(renderAccessFile(settings({ postgresql: { pgHba }, parameters: { hba_file: 'pg_hba.conf' } }), 'hba')).not.toBeNull();
    expect(mainGucs(settings({ parameters: { hba_file: 'mine.conf' } }), PRIMARY)).toMatchObject({ hba_file: '/etc/pg/mine.conf' });
  });
});

describe('passwords', () => {
  const login = (username: string, password: string | null) => ({ username, password, options: {} });

  test('the passfile has a line for each user and host, and one for localhost where the host is a socket', () => {
    const postgresql = { replication: login('repl', 'a:b\\c'), superuser: login('postgres', 'p'), rewind: login('postgres', 'p') };
    expect(renderPassfile(settings({ postgresql }), [{ host: '/run/pg', port: 5432 }])).toBe(
      '/run/pg:5432:*:repl:a\\:b\\\\c\nlocalhost:5432:*:repl:a\\:b\\\\c\n/run/pg:5432:*:postgres:p\nlocalhost:5432:*:postgres:p\n',
    );
    const none = { replication: login('repl', null), superuser: login('', 'p'), rewind: login('r', null) };
    expect(renderPassfile(settings({ postgresql: none }), [{ host: 'a', port: 1 }])).toBe('');
  });

  test('are taken out of what a program gets as an argument', () => {
    expect(programConninfo({ host: 'a', sslpassword: 'S', password: 'P', sslkey: '/k' })).toEqual({
      text: 'host=a sslkey=/k',
      secrets: { password: 'P', sslpassword: 'S' },
    });
  });
});
