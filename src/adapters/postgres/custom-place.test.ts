/**
 * What a program of the user's, which makes a data directory, finds there; and what becomes of what
 * it left when it has failed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog, realClock } from '../../../test/fixtures/operator-port.ts';
import { ended } from '../../../test/support/ended.ts';
import type { JsonObject } from '../../support/json.ts';
import { runBootstrapMethod } from './bootstrap.ts';
import { clone } from './clone.ts';
import type { Deps } from './deps.ts';

let home: string;
let dataDir: string;
let backup: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-custom-'));
  dataDir = join(home, 'main');
  backup = join(home, 'backup');
  mkdirSync(join(backup, 'global'), { recursive: true, mode: 0o755 });
  writeFileSync(join(backup, 'PG_VERSION'), '15\n');
  writeFileSync(join(backup, 'global/pg_control'), 'control');
  writeFileSync(join(backup, 'postgresql.conf'), '');
});
afterEach(() => rmSync(home, { recursive: true }));

/** PostgreSQL's own programs say what is asked for; all others run. */
function depsOf(options: JsonObject): Deps {
  const some = someSettings({
    postgresql: { dataDir, configDir: dataDir, createReplicaMethods: ['own'], methodOptions: { own: options } },
  });
  const bootstrap = { dcs: {}, method: 'own', initdb: [], postBootstrap: null, pgHba: [], methodOptions: options };
  const settings = { ...some, local: { ...some.local, bootstrap } };
  const run: Deps['run'] = (file, args) => {
    if (/postgres$/.test(file)) return Promise.resolve(ended({ stdout: 'postgres (PostgreSQL) 15.1' }));
    if (/initdb$/.test(file)) return Promise.resolve(ended());
    try {
      return Promise.resolve(ended({ stdout: execFileSync(file, args, { encoding: 'utf8', stdio: 'pipe' }) }));
    } catch {
      return Promise.resolve(ended({ code: 1 }));
    }
  };
  const connect = () => Promise.reject(new Error('nothing connects'));
  return { settings, run, connect, log: keptLog(), runAs: null, clock: realClock };
}

const move = () => ({ command: `mv ${backup} ${dataDir}`, no_params: true });
const TIME = { timeoutMs: 10_000 };

describe('a bootstrap method', () => {
  test('may move a directory into the place of the data directory, which then gets a mode that PostgreSQL accepts', async () => {
    expect(await runBootstrapMethod(depsOf(move()), TIME)).toEqual({ method: 'custom', pending: null });
    expect(readFileSync(join(dataDir, 'PG_VERSION'), 'utf8')).toBe('15\n');
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });

  test('finds the empty directory that was there before', async () => {
    mkdirSync(dataDir, { mode: 0o750 });
    await runBootstrapMethod(depsOf({ command: `cp -r ${backup}/. ${dataDir}`, no_params: true }), TIME);
    expect(existsSync(join(dataDir, 'PG_VERSION'))).toBe(true);
    expect(statSync(dataDir).mode & 0o777).toBe(0o750);
  });

  test('that failed has its remains kept, by the next try and by those after it', async () => {
    mkdirSync(dataDir);
    const failing = depsOf(move());
    await expect(runBootstrapMethod(failing, TIME)).rejects.toMatchObject({ code: 'CUSTOM_BOOTSTRAP_FAILED' });
    for (const _ of [1, 2]) await expect(runBootstrapMethod(failing, TIME)).rejects.toMatchObject({ code: 'CUSTOM_BOOTSTRAP_FAILED' });
    expect(existsSync(join(`${dataDir}.removed`, 'backup/PG_VERSION'))).toBe(true);
  });
});

describe('a replica method', () => {
  test('may move a directory into the place of the data directory', async () => {
    await clone(depsOf(move()), null, { ...TIME, fromLeader: false }).catch(() => {});
    await clone(depsOf({ ...move(), no_leader: true }), null, { ...TIME, fromLeader: false });
    expect(existsSync(join(dataDir, 'standby.signal'))).toBe(true);
  });

  test('that left nothing is reported as such', async () => {
    const failed = clone(depsOf({ command: 'true', no_params: true, no_leader: true }), null, { ...TIME, fromLeader: false });
    await expect(failed).rejects.toThrow('own left no usable data directory');
  });
});
