/** When a scheduled restart is run, and when it is dropped instead. */
import { expect, it } from 'vitest';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import { observation, pg, settings } from '../../test/support/build.ts';
import { fake } from '../../test/support/fake.ts';
import { manualClock } from '../../test/support/manual-clock.ts';
import type { LastRound } from './rounds.ts';
import { ScheduledRestart } from './scheduled-restart.ts';

const DUE = 100_000;
const STARTED = '2026-01-01 00:00:00.000000+00:00';

function scene({ loopWaitSeconds = 10 } = {}) {
  const clock = manualClock();
  const log = keptLog();
  const run: object[] = [];
  const facts = { pause: false, startedAt: STARTED };
  let roundEnded = () => {};
  const rounds = {
    get last() {
      const dynamic = { pause: facts.pause, loopWaitSeconds };
      const seen = observation({ settings: settings('a', { dynamic }), pg: pg.standby({ postmasterStartTime: facts.startedAt }) });
      return fake<LastRound>({ observation: seen });
    },
    onEnd: (listener: () => void) => {
      roundEnded = listener;
      return () => {};
    },
  };
  const scheduled = new ScheduledRestart({ clock: { ...clock, wallMs: clock.bootMs }, log }, rounds, async (request) => {
    run.push(request);
    return { ok: true, message: 'restarted successfully' };
  });
  const round = (over: Partial<typeof facts> = {}) => {
    Object.assign(facts, over);
    roundEnded();
  };
  const request = { role: 'replica' } as const;
  expect(scheduled.schedule({ postmaster_start_time: STARTED }, request, DUE)).toBe(true);
  return { scheduled, clock, run, request, round, logged: () => log.lines.join('\n') };
}

it('is run once, at its time, with its conditions', async () => {
  const { scheduled, clock, run, request, round, logged } = scene();
  await clock.advance(DUE - 1);
  round();
  expect(run).toEqual([]);
  await clock.advance(1);
  expect(run).toEqual([request]);
  expect(scheduled.data).toBeNull();
  round();
  await clock.advance(DUE);
  expect(run).toHaveLength(1);
  expect(logged()).toContain('scheduled restart: restarted successfully');
});

it('is dropped as soon as PostgreSQL was restarted otherwise, and another may be scheduled', async () => {
  const { scheduled, clock, run, round, logged } = scene();
  await clock.advance(1000);
  round({ startedAt: '2026-01-01 00:00:30.000000+00:00' });
  expect(scheduled.data).toBeNull();
  expect(logged()).toContain('dropped, because PostgreSQL was restarted meanwhile');
  await clock.advance(DUE);
  expect(run).toEqual([]);
  expect(clock.pending).toBe(0);
});

it('is not run in a pause, and is shown until the pause ends', async () => {
  const { scheduled, clock, run, round, logged } = scene();
  round({ pause: true });
  await clock.advance(DUE + 60_000);
  round();
  expect(run).toEqual([]);
  expect(scheduled.data).not.toBeNull();
  round({ pause: false });
  expect(run).toEqual([]);
  expect(scheduled.data).toBeNull();
  expect(logged()).toContain('dropped, because it was due 60 s ago, in a pause');
});

it.each([
  [15_000, 1],
  [15_001, 0],
])('after a pause that ends %i ms after its time it is run %i times: within 1.5 loop_wait', async (lateMs, times) => {
  const { clock, run, round } = scene();
  round({ pause: true });
  await clock.advance(DUE + lateMs);
  round({ pause: false });
  expect(run).toHaveLength(times);
});

it('is taken back', async () => {
  const { scheduled, clock, run } = scene();
  expect(scheduled.schedule({}, {}, DUE)).toBe(false);
  expect(scheduled.delete()).toBe(true);
  expect(scheduled.delete()).toBe(false);
  await clock.advance(DUE);
  expect(run).toEqual([]);
});
