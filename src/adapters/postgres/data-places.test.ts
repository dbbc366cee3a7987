/**
 * Making and removing data directories in places as people have them. PostgreSQL's programs are
 * played by the test, the directories are real.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { ended } from '../../../test/support/ended.ts';
import { asOtherUser, canBeOtherUser, otherUser } from '../../../test/support/other-user.ts';
import type { BinaryOption } from '../../core/settings.ts';
import type { RunResult } from '../../support/exec.ts';
import { createSystemClock } from '../clock/system.ts';
import { runInitdb } from './bootstrap.ts';
import { clone } from './clone.ts';
import { inspectDataDir, markIncomplete, removeDataDir } from './data-dir.ts';
import type { Deps } from './deps.ts';
import { noteWalOwner } from './made-elsewhere.ts';
import { isMarkEntry } from './marks.ts';
import { checkRemake, isRemains, placeTrouble, sayTroubles } from './place-check.ts';
import { refuseSocketInSource, removeSocketFiles, socketTrouble } from './sockets.ts';

const LEADER = { name: 'pg-2', host: '10.0.0.12', port: 5432 };
const BOUND = { timeoutMs: 60_000, fromLeader: true };

let home: string;
let dataDir: string;
let log: ReturnType<typeof keptLog>;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-places-'));
  chmodSync(home, 0o755);
  dataDir = join(home, 'data');
  log = keptLog();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const argument = (args: readonly string[], name: string) => args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';

function makeCluster(directory: string): void {
  mkdirSync(join(directory, 'global'), { recursive: true });
  writeFileSync(join(directory, 'PG_VERSION'), '15\n');
  writeFileSync(join(directory, 'global', 'pg_control'), 'x');
}

interface Scene {
  readonly spaces?: readonly string[];
  readonly basebackup?: readonly BinaryOption[];
  readonly initdb?: readonly BinaryOption[];
  readonly methods?: readonly string[];
  /** Plays a program in the directory it was given. */
  readonly program: (directory: string, name: string) => RunResult | Promise<RunResult>;
}

function depsFor({ spaces = [], basebackup = [], initdb = [], methods = ['basebackup'], program }: Scene): Deps {
  const settings = someSettings({
    postgresql: { dataDir, configDir: dataDir, createReplicaMethods: methods, basebackup, pgpass: join(home, 'pgpass') },
  });
  const local = { ...settings.local, bootstrap: { ...settings.local.bootstrap!, initdb, pgHba: [] } };
  const run = async (file: string, args: readonly string[]) => {
    const name = basename(file);
    if (name === 'postgres') return ended({ stdout: 'postgres (PostgreSQL) 15.5' });
    if (args.includes('--sync-only')) return ended();
    if (name === 'pg_controldata') return ended({ code: 1, stderr: 'no control file' });
    return program(argument(args, 'pgdata') || argument(args, 'datadir'), name);
  };
  const connect = async () => clientThat(async () => ({ rows: spaces.map((location) => ({ location })) }));
  return { settings: { ...settings, local }, log, clock: createSystemClock(), run, connect };
}

/** A client that is never connected, and answers every query so. */
function clientThat(query: (text: string) => Promise<{ readonly rows: readonly object[] }>): pg.Client {
  return Object.assign(new pg.Client(), { query, end: async () => {} });
}

/** As pg_basebackup does: every directory that it fills must be empty. */
function refusal(...directories: readonly string[]): RunResult | null {
  const full = directories.find((directory) => existsSync(directory) && readdirSync(directory).length > 0);
  return full === undefined ? null : ended({ code: 1, stderr: `pg_basebackup: error: directory "${full}" exists but is not empty` });
}

describe('a copy', () => {
  test('that broke off is made again: its remains in tablespaces and the WAL directory are removed, and nothing else', async () => {
    const [mine, moved, wal, others] = ['mine', 'moved', 'wal', 'others'].map((name) => join(home, name)) as [
      string,
      string,
      string,
      string,
    ];
    for (const path of [moved, others]) mkdirSync(path);
    mkdirSync(join(others, 'PG_15_202209061', '5'), { recursive: true });
    const basebackup = [
      { name: 'waldir', value: wal },
      { name: 'tablespace-mapping', value: `/srv/there=${moved}` },
    ];
    let runs = 0;
    const program = (directory: string) => {
      const refused = refusal(directory, mine, moved, wal);
      if (refused !== null) return refused;
      runs += 1;
      for (const space of [mine, moved]) mkdirSync(join(space, 'PG_15_202209061', '5'), { recursive: true });
      mkdirSync(join(wal, 'archive_status'), { recursive: true });
      writeFileSync(join(wal, '000000010000000000000001'), '');
      // It takes its own directory back, and leaves the tablespaces: no link leads there.
      if (runs === 1) return ended({ code: 1, stderr: 'terminating connection due to administrator command' });
      makeCluster(directory);
      return ended();
    };
    await clone(depsFor({ spaces: [mine, '/srv/there', others, 'pg_tblspc/16400'], basebackup, program }), LEADER, BOUND);
    expect(runs).toBe(2);
    expect(readdirSync(others)).toEqual(['PG_15_202209061']);
    expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'valid', standbySignal: true });
    expect(readdirSync(home).filter((name) => name.includes('regent'))).toEqual([]);
    expect(log.lines.join('\n')).toContain(`${moved} is emptied of what an attempt that failed has left there`);
  });

  test('that failed for good leaves nothing in a tablespace either', async () => {
    const space = join(home, 'space');
    const program = () => {
      mkdirSync(join(space, 'PG_15_202209061'), { recursive: true });
      return ended({ code: 1, stderr: 'no' });
    };
    await expect(clone(depsFor({ spaces: [space], program }), LEADER, { ...BOUND, timeoutMs: 900 })).rejects.toMatchObject({
      code: 'CLONE_FAILED',
    });
    expect(readdirSync(space)).toEqual([]);
    expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'missing', incompleteWork: null });
  });

  test('into a directory that was made beforehand, open to the world, is one that PostgreSQL starts with', async () => {
    mkdirSync(dataDir, { mode: 0o755 });
    const program = (directory: string) => {
      makeCluster(directory);
      return ended();
    };
    await clone(depsFor({ program }), LEADER, BOUND);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });

  test('has none of its source’s socket files', async () => {
    const program = (directory: string) => {
      makeCluster(directory);
      writeFileSync(join(directory, '.s.PGSQL.5432.lock'), '1\n');
      return ended();
    };
    await clone(depsFor({ program }), LEADER, BOUND);
    expect(readdirSync(dataDir).filter((name) => name.startsWith('.s.'))).toEqual([]);
  });
});

/** data_dir is ours, the directory above is root's. */
const locked = <T>(work: () => Promise<T>): Promise<T> => {
  mkdirSync(dataDir, { mode: 0o755, recursive: true });
  chownSync(dataDir, otherUser.uid, otherUser.gid);
  return asOtherUser(work);
};

describe.runIf(canBeOtherUser)('below a directory of another user’s', () => {
  const whole = (directory: string, seen: string[]) => {
    seen.push(directory);
    const refused = refusal(directory);
    if (refused !== null) return refused;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    makeCluster(directory);
    return ended();
  };

  test('a cluster is made and cloned in a directory within, under a mark; the result is a data directory', async () => {
    const seen: string[] = [];
    const program = async (directory: string) => {
      expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete' });
      return whole(directory, seen);
    };
    await locked(async () => {
      await runInitdb(depsFor({ program }), BOUND);
      expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'bootstrap', major: 15 });
      await markIncomplete(dataDir, 'clone');
      await clone(depsFor({ program }), LEADER, BOUND);
    });
    expect(seen.every((directory) => directory.startsWith(`${dataDir}/`))).toBe(true);
    expect(readdirSync(dataDir).sort()).toEqual(['PG_VERSION', 'global', 'pg_ident.conf', 'standby.signal']);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(readdirSync(home)).toEqual(['data']);
  });

  test('a program of the user’s gets the data directory itself, empty; its mark comes back while it is at work', async () => {
    const seen: string[] = [];
    const program = async (directory: string) => {
      expect(directory).toBe(dataDir);
      const made = whole(directory, seen);
      for (const end = performance.now() + 5000; !readdirSync(dataDir).some(isMarkEntry) && performance.now() < end; )
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'clone' });
      return made;
    };
    await locked(() => clone(depsFor({ methods: ['backup'], program }), LEADER, { ...BOUND, fromLeader: false }));
    expect(seen).toEqual([dataDir]);
    expect((await inspectDataDir(dataDir)).state).toBe('valid');
  });

  test('the version’s directory of a tablespace is removed with its content', async () => {
    const space = join(home, 'space');
    mkdirSync(join(space, 'PG_15_202209061', '5'), { recursive: true });
    await locked(async () => {
      makeCluster(dataDir);
      mkdirSync(join(dataDir, 'pg_tblspc'));
      symlinkSync(space, join(dataDir, 'pg_tblspc', '16400'));
      process.seteuid?.(0);
      for (const path of [space, join(space, 'PG_15_202209061'), join(space, 'PG_15_202209061', '5')])
        chownSync(path, otherUser.uid, otherUser.gid);
      process.seteuid?.(otherUser.uid);
      await removeDataDir(dataDir, { keepAside: false, log });
    });
    expect(readdirSync(space)).toEqual([]);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('an empty lost+found is removed with the rest; one with files keeps everything, and is named', async () => {
    mkdirSync(join(dataDir, 'lost+found'), { recursive: true, mode: 0o700 });
    mkdirSync(join(dataDir, '.snapshot', 'monday'), { recursive: true, mode: 0o555 });
    chmodSync(join(dataDir, '.snapshot'), 0o555);
    const deps = depsFor({ program: () => ended() });
    await locked(async () => {
      await expect(checkRemake(deps, '7')).rejects.toMatchObject({
        code: 'DATA_DIR_IN_THE_WAY',
        message: expect.stringMatching(/^\.snapshot in \S+ cannot be removed \(it belongs to user 0\)$/),
        mend: expect.stringContaining('one level below'),
      });
    });
    rmSync(join(dataDir, '.snapshot'), { recursive: true });
    await locked(async () => {
      await checkRemake(deps, '7');
      await removeDataDir(dataDir, { keepAside: false, log });
    });
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('a place that cannot work is reported at the start', async () => {
    expect(await asOtherUser(() => placeTrouble(dataDir, null))).toMatchObject({
      message: expect.stringContaining('does not exist and cannot be made'),
    });
    const settings = someSettings({ postgresql: { dataDir } });
    await asOtherUser(() =>
      sayTroubles({ settings, log, owner: null, socket: socketTrouble({ ...settings, parameters: { unix_socket_directories: '.' } }) }),
    );
    expect(log.lines).toEqual([
      expect.stringMatching(/^error .*cannot be made.*; create /),
      expect.stringMatching(/^warning unix_socket_directories has/),
    ]);
    mkdirSync(dataDir);
    expect(await asOtherUser(() => placeTrouble(dataDir, null))).toMatchObject({ message: expect.stringContaining('belongs to user 0') });
    expect(await locked(() => placeTrouble(dataDir, null))).toBeNull();
    expect(await placeTrouble(join(home, 'not', 'yet', 'data'), null)).toBeNull();
  });
});

describe('a WAL directory of the waldir option', () => {
  const wal = () => join(home, 'wal');
  const initdb = () => [{ name: 'waldir', value: wal() }];
  const program = (directory: string) => {
    const refused = refusal(directory, wal());
    if (refused !== null) return refused;
    makeCluster(directory);
    mkdirSync(wal(), { recursive: true });
    writeFileSync(join(wal(), '000000010000000000000001'), '');
    symlinkSync(wal(), join(directory, 'pg_wal'));
    return ended();
  };

  test('that a data directory removed by hand has left behind is emptied by the next one', async () => {
    const deps = depsFor({ initdb: initdb(), basebackup: initdb(), program });
    await runInitdb(deps, BOUND);
    await noteWalOwner(deps.settings);
    rmSync(dataDir, { recursive: true });
    await runInitdb(deps, BOUND);
    await noteWalOwner(deps.settings);
    rmSync(dataDir, { recursive: true });
    await clone(deps, LEADER, BOUND);
    expect(log.lines.join('\n')).toContain(`${wal()} is emptied: it has the WAL of a data directory that is gone`);
  });

  test('stays as it is where it may not be ours', async () => {
    mkdirSync(wal());
    writeFileSync(join(wal(), '000000010000000000000001'), '');
    await expect(runInitdb(depsFor({ initdb: initdb(), program }), BOUND)).rejects.toMatchObject({ code: 'INITDB_FAILED' });
    expect(readdirSync(wal())).toEqual(['000000010000000000000001']);
  });
});

describe('the content of a directory that is no cluster', () => {
  test('is another cluster: it is named, and stays', async () => {
    makeCluster(join(dataDir, '15', 'main'));
    await expect(checkRemake(depsFor({ program: () => ended() }), '7')).rejects.toMatchObject({
      code: 'DATA_DIR_OF_OTHERS',
      message: expect.stringContaining('15/main'),
    });
  });

  test('is a cluster’s remains, or somebody’s files, which are moved aside', () => {
    expect(isRemains(['base', 'global', 'pg_wal', 'postgresql.conf', 'lost+found', 'pg_hba.conf.before-regent'])).toBe(true);
    expect(isRemains(['base', 'thesis.txt'])).toBe(false);
    // What an agent that was killed had not yet put into its place.
    expect(isRemains(['base', '.postgresql.conf.0a1b2c3d.new'])).toBe(true);
  });

  test('keeps no member from a copy', async () => {
    mkdirSync(join(dataDir, 'base', '1'), { recursive: true });
    writeFileSync(join(dataDir, 'base', '1', 'PG_VERSION'), '15\n');
    await checkRemake(depsFor({ program: () => ended() }), '7');
  });
});

describe('a socket in the data directory', () => {
  const settingsWith = (unix_socket_directories: string) => ({
    ...someSettings({ postgresql: { dataDir: '/data/pg' } }),
    parameters: { unix_socket_directories },
  });

  test.each([
    ['.', true],
    ['/tmp, /data/pg', true],
    ['/data/pg/run', true],
    ['..', false],
    ['/tmp', false],
    ['@abstract', false],
    ['', false],
  ])('%s is reported at the start: %s', (directories, told) => {
    expect(socketTrouble(settingsWith(directories)) !== null).toBe(told);
  });

  test('of the source keeps pg_rewind of 15 and later from beginning what it could not finish', async () => {
    const refused = (major: number, readable: boolean) => {
      const query = async (text: string) => {
        if (text.includes('pg_ls_dir')) return { rows: [{ filename: '.s.PGSQL.5432' }] };
        if (!readable) throw new Error('could not open file ".s.PGSQL.5432" for reading: No such device or address');
        return { rows: [{}] };
      };
      const deps = { ...depsFor({ program: () => ended() }), connect: async () => clientThat(query) };
      return refuseSocketInSource(deps, LEADER, major, BOUND);
    };
    await expect(refused(15, false)).rejects.toMatchObject({ code: 'REWIND_SOURCE_SOCKET', message: expect.stringContaining('pg-2') });
    await refused(15, true);
    await refused(14, false);
  });

  test('of a server that is gone is removed, with its lock', async () => {
    makeCluster(dataDir);
    for (const name of ['.s.PGSQL.5432', '.s.PGSQL.5432.lock', '.s.PGSQL.mine']) writeFileSync(join(dataDir, name), '');
    await removeSocketFiles(dataDir);
    expect(readdirSync(dataDir).filter((name) => name.startsWith('.s'))).toEqual(['.s.PGSQL.mine']);
  });
});
