import { expect, it } from 'vitest';
import { settings } from '../../test/support/build.ts';
import { manualClock } from '../../test/support/manual-clock.ts';
import type { ServiceState } from '../ports/service-manager.ts';
import { ServiceReports } from './service-reports.ts';

const LONGEST_ROUND_MS = 40_000;

function stage(patienceMs: number | null = 10_000) {
  const clock = manualClock();
  const told: ServiceState[] = [];
  const reports = new ServiceReports({
    clock,
    service: { patienceMs, tell: (state) => void told.push(state) },
    settings: { current: () => settings('a', { dynamic: { ttlSeconds: 30, loopWaitSeconds: 10 } }) },
  });
  const since = async (what: () => unknown) => {
    told.length = 0;
    await what();
    return [...told];
  };
  return { clock, reports, since };
}

it('is ready when the loop begins, and gives a sign of life twice within the patience while it turns', async () => {
  const { clock, reports, since } = stage();
  expect(await since(() => reports.start())).toEqual(['ready']);
  reports.resting(10_000);
  expect(await since(() => clock.advance(20_000))).toEqual(['alive', 'alive', 'alive', 'alive']);
});

it('gives no sign of life of a round that never ends, and again when it ended after all', async () => {
  const { clock, reports, since } = stage();
  reports.start();
  reports.turning();
  await clock.advance(LONGEST_ROUND_MS - 1);
  expect(await since(() => clock.advance(60_000))).toEqual([]);
  reports.resting(clock.bootMs() + 10_000);
  expect(await since(() => clock.advance(5000))).toEqual(['alive']);
});

it('gives none when the next round does not begin', async () => {
  const { clock, reports, since } = stage();
  reports.start();
  reports.resting(10_000);
  await clock.advance(10_000 + LONGEST_ROUND_MS - 1);
  expect(await since(() => clock.advance(30_000))).toEqual([]);
});

it('sets no timer where nobody waits for signs, and none is left at the end', async () => {
  const silent = stage(null);
  silent.reports.start();
  expect(silent.clock.pending).toBe(0);
  const asked = stage();
  asked.reports.start();
  asked.reports.end();
  expect(asked.clock.pending).toBe(0);
});

it('is ready again after another postmaster was started, or one ended', async () => {
  const { reports, since } = stage();
  reports.start();
  expect(await since(() => reports.sawPostmaster(7))).toEqual([]);
  expect(await since(() => reports.sawPostmaster(7))).toEqual([]);
  expect(await since(() => reports.sawPostmaster(null))).toEqual(['ready']);
  expect(await since(() => reports.sawPostmaster(8))).toEqual(['ready']);
});

it('reloads, and says once that it stops, and nothing else from then on', async () => {
  const { reports, since } = stage();
  reports.start();
  expect(await since(() => reports.reloading()())).toEqual(['reloading', 'ready']);
  reports.sawPostmaster(7);
  expect(await since(() => reports.stopping())).toEqual(['stopping']);
  expect(await since(() => [reports.stopping(), reports.sawPostmaster(null), reports.reloading()()])).toEqual([]);
});
