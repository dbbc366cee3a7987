import { expect, test } from 'vitest';
import type { ControlData } from './control-data.ts';
import { isPausedByLimits, mayBeLimits } from './replay-pause.ts';

test('only a paused standby of PostgreSQL 14 or later may wait for a limit', () => {
  const paused = { inRecovery: true, replayPaused: true };
  expect(mayBeLimits(paused, 14)).toBe(true);
  expect(mayBeLimits(paused, 13)).toBe(false);
  expect(mayBeLimits({ ...paused, replayPaused: false }, 18)).toBe(false);
  expect(mayBeLimits({ ...paused, inRecovery: false }, 18)).toBe(false);
});

test('it does when the primary has more of one than runs here', async () => {
  const control = { limits: { max_connections: 60, max_wal_senders: 10 } } as unknown as ControlData;
  const running = (max_connections: number) => async () => [
    { name: 'max_connections', value: max_connections },
    { name: 'max_wal_senders', value: 20 },
  ];
  expect(await isPausedByLimits(control, running(50))).toBe(true);
  expect(await isPausedByLimits(control, running(60))).toBe(false);
  expect(await isPausedByLimits(null, running(50))).toBe(false);
});
