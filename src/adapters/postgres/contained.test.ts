/** A crashed primary whose WAL may lie in its source's history: what becomes of it. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { control, lsn, SYSTEM_ID, settings } from '../../../test/support/build.ts';
import { ended } from '../../../test/support/ended.ts';
import { prospectOf } from '../../core/rewind-prospects.ts';
import { runCommand } from '../../support/exec.ts';
import { createSystemClock } from '../clock/system.ts';
import { followAsItIs } from './contained.ts';
import type { Deps } from './deps.ts';

const SEGMENT = 16 * 1024 * 1024;
const CHECKPOINT = lsn(2 * SEGMENT + 96);
const READY = '000000010000000000000001';
const stumbles = 'pg_waldump: error: error in WAL record at 0/2000100: invalid record length at 0/2000138: wanted 24, got 0\n';

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'regent-contained-'));
  mkdirSync(join(dataDir, 'pg_wal', 'archive_status'), { recursive: true });
  for (const name of [READY, '000000010000000000000002']) writeFileSync(join(dataDir, 'pg_wal', name), '');
  writeFileSync(join(dataDir, 'pg_wal', 'archive_status', `${READY}.ready`), '');
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const crashed = {
  major: 15,
  control: {
    ...control({ state: 'in production', timeline: 1, checkpointLsn: CHECKPOINT }),
    systemIdentifier: SYSTEM_ID,
    limits: {},
    walSegmentBytes: SEGMENT,
  },
};
const history = (switchLsn = lsn(3 * SEGMENT)) => ({
  name: 'b',
  systemIdentifier: SYSTEM_ID,
  timeline: 2,
  lsn: lsn(4 * SEGMENT),
  history: [{ timeline: 1, switchLsn, reason: 'x' }],
  inRecovery: false,
});
const source = { name: 'b', host: 'b', port: 5432 };
const isStandby = () => existsSync(join(dataDir, 'standby.signal'));
const archiveStatus = () => readdirSync(join(dataDir, 'pg_wal', 'archive_status'));

/** The programs of PostgreSQL, and /bin/sh for the archive_command. */
function scene(walDump: Deps['run'] = async () => ended({ code: 1, stderr: stumbles }), archives: Deps['run'] = async () => ended()) {
  const log = keptLog();
  const archived: Array<{ command: string; wasStandby: boolean }> = [];
  const deps: Deps = {
    settings: settings('a', { postgresql: { dataDir, binNames: {}, binDir: '' } }),
    log,
    clock: createSystemClock(),
    connect: () => Promise.reject(new Error('the source does not let its WAL be read')),
    run: (file, args, options) => {
      const values: Record<string, string> = { archive_mode: 'on\n', archive_command: 'keep %f\n' };
      if (basename(file) === 'pg_waldump') return walDump(file, args, options);
      if (basename(file) === 'postgres') return Promise.resolve(ended({ stdout: values[args.at(-1)!] ?? '\n' }));
      archived.push({ command: args.at(-1)!, wasStandby: isStandby() });
      return archives(file, args, options);
    },
  };
  const follow = (signal?: AbortSignal, told = history()) =>
    followAsItIs(deps, source, crashed, told, () => ({ timeoutMs: 10_000, ...(signal && { signal }) }));
  return { log, archived, follow };
}

describe('a crashed primary that may follow as it is', () => {
  it('archives what waits for that before it is a standby, which would recycle it', async () => {
    const { archived, follow } = scene();
    expect(await follow()).toBe(true);
    expect(archived).toEqual([{ command: `keep ${READY}`, wasStandby: false }]);
    expect(archiveStatus()).toEqual([`${READY}.done`]);
    expect(isStandby()).toBe(true);
  });

  it('becomes a standby though the archive fails, and says what will be missing', async () => {
    const { log, follow } = scene(undefined, async () => ended({ code: 1 }));
    expect(await follow()).toBe(true);
    expect(archiveStatus()).toEqual([`${READY}.ready`]);
    expect(log.lines.join('\n')).toContain('will be missing from the archive');
    expect(isStandby()).toBe(true);
  });

  it('is left as it was where the job is called off while it archives', async () => {
    const called = new AbortController();
    const { follow } = scene(undefined, async () => {
      called.abort();
      return ended({ code: null, cause: 'aborted' });
    });
    await expect(follow(called.signal)).rejects.toMatchObject({ code: 'REWIND_CALLED_OFF' });
    expect([isStandby(), archiveStatus()]).toEqual([false, [`${READY}.ready`]]);
  });

  it('is not touched where its WAL goes on beyond the source’s history', async () => {
    const { archived, follow } = scene();
    expect(await follow(undefined, history(lsn(2 * SEGMENT + 128)))).toBe(false);
    expect([isStandby(), archived]).toEqual([false, []]);
  });

  it.each<[string, Deps['run'], string]>([
    ['is not done in time', async () => ended({ code: null, signal: 'SIGTERM', cause: 'timeout' }), 'COMPARE_UNKNOWN'],
    ['is called off', async () => ended({ code: null, signal: 'SIGTERM', cause: 'aborted' }), 'COMPARE_UNKNOWN'],
    ['is killed for its memory', async () => ended({ code: null, signal: 'SIGKILL' }), 'COMPARE_UNKNOWN'],
    ['cannot read a file', async () => ended({ code: 1, stderr: 'could not read from file: Input/output error' }), 'COMPARE_UNKNOWN'],
    ['cannot be run', () => runCommand('/', [], { timeoutMs: 1000 }), 'COMPARE_UNKNOWN'],
    ['is not there', () => runCommand('/no/such/pg_waldump', [], { timeoutMs: 1000 }), 'COMPARE_NO_PROGRAM'],
  ])('is not taken for diverged where pg_waldump %s', async (_name, walDump, code) => {
    await expect(scene(walDump).follow()).rejects.toMatchObject({ code });
    expect(prospectOf(code)).toBe('passes');
  });

  it('is not taken for diverged where its WAL cannot be listed', async () => {
    const { follow } = scene();
    renameSync(join(dataDir, 'pg_wal'), join(dataDir, 'elsewhere'));
    await expect(follow()).rejects.toMatchObject({ code: 'COMPARE_UNKNOWN' });
  });

  it('is not known to fit where the WAL itself does not tell its end', async () => {
    const damaged = 'pg_waldump: error: could not find a valid record after 0/2000060';
    expect(await scene(async () => ended({ code: 1, stderr: damaged })).follow()).toBe(false);
    expect(await scene(async () => ended()).follow()).toBe(false);
    rmSync(join(dataDir, 'pg_wal', '000000010000000000000002'));
    expect(await scene().follow()).toBe(false);
  });
});
