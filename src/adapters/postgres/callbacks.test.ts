/**
 * When a callback counts as started. What running ones do to each other:
 * test/integration/postgres.test.ts.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { slowFile } from '../../../test/fixtures/slow-file.ts';
import { createSystemClock } from '../clock/system.ts';
import { Callbacks } from './callbacks.ts';

const callbacks = (on_start: string, others: Readonly<Record<string, string>> = {}) => {
  const settings = someSettings({ postgresql: { callbacks: { on_start, ...others } } });
  return new Callbacks({ settings, runAs: null, log: keptLog(), clock: createSystemClock() });
};

test('counts as started once its process runs, however it ends', async () => {
  await callbacks('sh -c "exit 3"').run('on_start', 'primary');
  await callbacks('sh -c "exit 3"').run('on_stop', 'primary');
});

test.each(['/no/such/script', '/etc/passwd', '/tmp'])('does not where %s cannot be run, which is logged', async (file) => {
  await expect(callbacks(file).run('on_start', 'primary')).rejects.toMatchObject({
    code: 'CALLBACK_NOT_STARTED',
    message: expect.stringContaining('on_start for role primary could not be started: spawn'),
  });
});

test('a newer one ends the older with all that it has started; on_reload runs beside them', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'regent-callbacks-'));
  const pidOf = (name: string) => Number(readFileSync(join(directory, name), 'utf8'));
  const slow = (name: string) => `sh -c 'setsid sleep 60 & echo $! > ${directory}/${name}; wait'`;
  const scripts = callbacks(slow('start'), { on_stop: 'true', on_reload: slow('reload') });
  const isThere = (pid: number) => {
    try {
      return /\) [^Z]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    } catch {
      return false;
    }
  };
  try {
    await scripts.run('on_start', 'primary');
    await scripts.run('on_reload', 'primary');
    await vi.waitFor(() => expect(isThere(pidOf('start')) && isThere(pidOf('reload'))).toBe(true), 15_000);
    await scripts.run('on_stop', 'primary');
    await vi.waitFor(() => expect(isThere(pidOf('start'))).toBe(false), 15_000);
    expect(isThere(pidOf('reload'))).toBe(true);
    process.kill(pidOf('reload'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('one whose disk hangs holds nobody, and counts as started', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'regent-callbacks-'));
  try {
    const { file, answer, hangs } = await slowFile(directory, '#!/bin/sh\necho "$@" > "$0.ran"\n');
    const running = callbacks(file).run('on_start', 'primary');
    expect(hangs()).toBe(true);
    await running;
    expect(hangs()).toBe(true);
    answer();
    await vi.waitFor(() => expect(readFileSync(`${file}.ran`, 'utf8')).toMatch(/^on_start primary \S+\n$/), 15_000);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
