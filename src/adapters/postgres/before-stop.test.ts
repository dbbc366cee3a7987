/**
 * How long a stop waits for before_stop, and that a stop which comes meanwhile does not run it
 * again.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { createSystemClock } from '../clock/system.ts';
import { BeforeStop } from './before-stop.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'regent-before-stop-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function scene(name: string, body: string) {
  const file = join(directory, name);
  const log = keptLog();
  const beforeStop = `sh -c 'echo begins >> ${file}; ${body}; echo ends >> ${file}'`;
  const server = { settings: someSettings({ postgresql: { beforeStop } }), runAs: null, log, clock: createSystemClock() };
  return { server, log, told: () => readFileSync(file, 'utf8').trim().split('\n') };
}

test('is waited for', async () => {
  const { server, told } = scene('short', 'sleep 0.2');
  await new BeforeStop().run(server, 10_000);
  expect(told()).toEqual(['begins', 'ends']);
});

test('is killed at the deadline, with what it has started, which is logged', async () => {
  const { server, told, log } = scene('long', 'sleep 60');
  await new BeforeStop().run(server, 200);
  expect(told()).toEqual(['begins']);
  expect(log.lines.join('\n')).toContain('before_stop failed; stopping nevertheless');
});

test('a stop in more of a hurry waits for the run there is, as long as it may', async () => {
  const { server, told } = scene('twice', 'sleep 0.5');
  const script = new BeforeStop();
  const first = script.run(server, 10_000);
  await script.run(server, 50);
  expect(told()).not.toContain('ends');
  await Promise.all([first, script.run(server, 10_000)]);
  expect(told()).toEqual(['begins', 'ends']);
  await script.run(server, 10_000);
  expect(told()).toHaveLength(4);
});

test('one that cannot be run keeps nobody from stopping', async () => {
  const { log, server } = scene('missing', '');
  await new BeforeStop().run({ ...server, settings: someSettings({ postgresql: { beforeStop: '/no/such/script' } }) }, 1000);
  expect(log.lines.join('\n')).toContain('before_stop could not be run');
});

test('one that outlives SIGKILL does not hold the stop that started it, nor the next', async () => {
  const { server, log } = scene('unkillable', '');
  let starts = 0;
  const script = new BeforeStop(() => () => {
    starts += 1;
    return new Promise<never>(() => {});
  });
  await script.run(server, 10);
  await script.run(server, 10);
  expect(starts).toBe(1);
  expect(log.lines.join('\n')).toContain('before_stop cannot be killed; stopping nevertheless');
});
