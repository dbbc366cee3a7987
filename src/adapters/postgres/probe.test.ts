import { expect, test } from 'vitest';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { settings } from '../../../test/support/build.ts';
import { manualClock } from '../../../test/support/manual-clock.ts';
import { RegentError } from '../../support/errors.ts';
import type { LocalServer } from './local-server.ts';
import { Probe, stateByError } from './probe.ts';

const wrapped = (cause: unknown) => new RegentError('SQL_CONNECT_FAILED', 'could not connect', { cause });
const server = (code: string) => Object.assign(new Error('from the server'), { code, severity: 'FATAL' });
const system = (code: string) => Object.assign(new Error('from the system'), { code });

test.each([
  ['the database system is starting up', wrapped(server('57P03')), 'starting'],
  ['it is shutting down', server('57P01'), 'starting'],
  ['it has crashed', server('57P02'), 'starting'],
  ['nobody listens', wrapped(system('ECONNREFUSED')), 'starting'],
  ['no socket yet', wrapped(system('ENOENT')), 'starting'],
  ['both addresses of a name refuse', wrapped(new AggregateError([system('ECONNREFUSED'), system('ECONNREFUSED')])), 'starting'],
  ['cut off in the middle', new Error('Connection terminated unexpectedly'), 'starting'],
  ['a wrong password', wrapped(server('28P01')), 'running'],
  ['no more connections', wrapped(server('53300')), 'running'],
  ['the connection took too long', new RegentError('SQL_TIMEOUT', 'too long'), 'unresponsive'],
  ['the query took too long', new Error('Query read timeout'), 'unresponsive'],
  ['the server gave up on it', server('57014'), 'unresponsive'],
  ['an error of our own', new TypeError('undefined is not a function'), 'running'],
] as const)('%s', (_, error, state) => {
  expect(stateByError(error)).toBe(state);
});

/** A server that lets every question wait until its asker gives up. */
function silentServer() {
  const clock = { ...manualClock(100_000), monotonicMs: () => clock.bootMs(), wallMs: () => 0, random: () => 0 };
  const asked: number[] = [];
  const server = {
    settings: { ...settings('a'), postgresql: { ...settings('a').postgresql, dataDir: '/nowhere' } },
    clock,
    log: keptLog(),
    role: { kind: 'primary' },
    runAs: null,
    stateDir: null,
    clientsOut: false,
    walSegmentBytes: null,
    fence: { read: async () => null },
    history: { read: async () => [] },
    watch: { current: () => ({ pid: 7, startTicks: '1', state: () => 'running' }) },
    heartbeat: {
      lockedOut: null,
      facts: (_: unknown, timeoutMs: number) => {
        asked.push(timeoutMs);
        return new Promise((_resolve, reject) => clock.timer(timeoutMs, () => reject(new RegentError('SQL_TIMEOUT', 'too long'))));
      },
    },
  };
  return { clock, asked, probe: new Probe(server as unknown as LocalServer) };
}

test('a caller in a hurry waits twice its own time at most, whoever asked before it', async () => {
  const { clock, asked, probe } = silentServer();
  const came: Record<string, number> = {};
  const observe = async (who: string, timeoutMs: number) => {
    const facts = await probe.observe(timeoutMs);
    came[who] = clock.bootMs() - 100_000;
    return facts;
  };
  const all = [observe('check', 2000), observe('another check', 2000), observe('hurried round', 200)];
  // The files are read beside the clock, which moves in steps for that, and waits for a slow disk.
  for (let step = 0; step < 500 && Object.keys(came).length < 3; step++) {
    await clock.advance(10);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const [, , hurried] = await Promise.all(all);
  expect(hurried).toMatchObject({ state: 'unresponsive', postmaster: { pid: 7 }, sql: null, waitedMs: 350 });
  expect(came['hurried round']).toBeLessThanOrEqual(400);
  expect(came['check']).toBeLessThanOrEqual(2000);
  // One question after the other, and none of the round's own.
  expect(asked.map((ms) => ms > 1500)).toEqual([true, true]);
});
