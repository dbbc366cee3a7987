/**
 * What PostgreSQL's programs and the user's get on their command lines, and what is read from their
 * words.
 */
import { describe, expect, test } from 'vitest';
import { INITDB_FORBIDDEN, REWIND_FORBIDDEN } from '../../pgconf/program-options.ts';
import { basebackupForbidden, optionArguments } from './binary-options.ts';
import { bootstrapArguments, methodArguments } from './custom-method.ts';
import { endedRecovery, hasBegunToCopy } from './rewind.ts';
import { archiveCommand } from './wal-archive.ts';

const option = (name: string, value: string | null = null) => ({ name, value });

describe('options of programs', () => {
  test('flags, values, quotes left over from a shell', () => {
    const options = [
      option('data-checksums'),
      option('encoding', 'UTF8'),
      option('--locale', "'de_DE.UTF-8'"),
      option('waldir', '"/w al"'),
      option('compatibility_mode', 'oracle'),
    ];
    expect(optionArguments(options, INITDB_FORBIDDEN)).toEqual({
      args: ['--data-checksums', '--encoding=UTF8', '--locale=de_DE.UTF-8', '--waldir=/w al', '--compatibility_mode=oracle'],
      refused: [],
    });
  });

  test('options that Regent sets are refused, and so is a value that is no option at all', () => {
    const options = [option('pgdata', '/x'), option('-pwfile', '/p'), option('a b'), option(''), option('encoding', 'x')];
    expect(optionArguments(options, INITDB_FORBIDDEN)).toEqual({ args: ['--encoding=x'], refused: ['pgdata', 'pwfile', 'a b', ''] });
    expect(optionArguments([option('source-server', 'host=evil'), option('no-sync')], REWIND_FORBIDDEN)).toEqual({
      args: ['--no-sync'],
      refused: ['source-server'],
    });
  });

  test('a base backup may be compressed where the server does it and the client undoes it', () => {
    const compress = (value: string | null, major: number) => basebackupForbidden([option('compress', value)], major).includes('compress');
    expect(compress('server-lz4', 15)).toBe(false);
    expect(compress('client-gzip', 15)).toBe(true);
    expect(compress(null, 17)).toBe(true);
    expect(compress('server-lz4', 14)).toBe(true);
  });
});

describe("the user's programs", () => {
  const added = { scope: 'demo', role: 'replica', datadir: '/d', connstring: 'host=a' };

  test('get their own options, then those of the cluster', () => {
    const options = { command: "/opt/make 'a b'", threads: 4, verify: true, keep_data: true };
    expect(methodArguments('make', options, added)).toEqual([
      '/opt/make',
      'a b',
      '--threads=4',
      '--verify=True',
      '--keep_data=True',
      '--scope=demo',
      '--role=replica',
      '--datadir=/d',
      '--connstring=host=a',
    ]);
  });

  test('get nothing added where they want nothing, and are found by the name of the method', () => {
    const quiet = { command: 'run me', no_params: true, no_leader: 1, keep_data: true };
    expect(methodArguments('make', quiet, added)).toEqual(['run', 'me']);
    expect(methodArguments('make', { ...quiet, delta: true, repo: 2 }, added)).toEqual(['run', 'me', '--delta=True', '--repo=2']);
    expect(methodArguments('make_replica', {}, { scope: 'x' })).toEqual(['make_replica', '--scope=x']);
    expect(methodArguments('make', { scope: 'mine', no_params: false }, { scope: 'x' })).toEqual([
      'make',
      '--scope=x',
      '--no_params=False',
    ]);
  });

  test('that make a new cluster get where it is first, and nothing that is meant for the agent', () => {
    const where = { scope: 'demo', datadir: '/d' };
    const options = {
      command: '/opt/restore',
      zone: 'eu',
      no_params: false,
      keep_existing_recovery_conf: true,
      recovery_conf: {},
      scope: 'mine',
    };
    expect(bootstrapArguments('restore', options, where)).toEqual(['/opt/restore', '--scope=demo', '--datadir=/d', '--zone=eu']);
    expect(bootstrapArguments('restore', { ...options, no_params: true }, where)).toEqual(['/opt/restore', '--zone=eu']);
  });
});

describe('pg_rewind', () => {
  const words = (stdout: string, stderr = '', truncated = false) => hasBegunToCopy({ stdout, stderr, truncated });

  test('has touched nothing before it says how much it will copy', () => {
    expect(words('pg_rewind: connected to server\n', 'pg_rewind: fatal: could not find common ancestor of the timelines')).toBe(false);
    expect(words('', 'pg_rewind: need to copy 68 MB (total source directory size is 84 MB)\n')).toBe(true);
    expect(words('…', '', true)).toBe(true);
  });

  test('ends the recovery of a crashed standby, which gives it WAL that no other server has', () => {
    expect(endedRecovery('in archive recovery', 'shut down')).toBe(true);
    expect(endedRecovery('in archive recovery', 'in archive recovery')).toBe(false);
    expect(endedRecovery('shut down in recovery', 'shut down in recovery')).toBe(false);
    for (const state of ['in production', 'in crash recovery', 'shut down']) expect(endedRecovery(state, 'shut down')).toBe(false);
  });
});

test("archive_command's placeholders", () => {
  expect(archiveCommand('cp %p /a/%f; echo %%p %x', '000000010000000000000001')).toBe(
    'cp pg_wal/000000010000000000000001 /a/000000010000000000000001; echo %p %x',
  );
});
