import { expect, it } from 'vitest';
import { settings } from '../../test/support/build.ts';
import { WatchdogKeeper } from './watchdog-keeper.ts';

function stage() {
  const calls: string[] = [];
  let inForce = settings('a', { dynamic: { ttlSeconds: 30 } });
  let active = false;
  const watchdog = {
    get active() {
      return active;
    },
    activate: async (seconds: number) => {
      calls.push(`activate ${seconds}`);
      active = true;
      return true;
    },
    keepAlive: async () => void calls.push('keepalive'),
    disable: async () => {
      calls.push('disable');
      active = false;
    },
  };
  const keeper = new WatchdogKeeper({ settings: { current: () => inForce }, watchdog });
  const set = (mode: 'off' | 'automatic', ttlSeconds: number) => {
    const { local, dynamic } = settings('a', { dynamic: { ttlSeconds } });
    inForce = { ...inForce, dynamic, local: { ...local, watchdog: { ...local.watchdog, mode } } };
  };
  const after = async (what: Promise<unknown>) => {
    await what;
    return calls.splice(0);
  };
  return { keeper, set, after };
}

it('a device that counts is told another timeout when the settings change, and is disabled when they turn it off', async () => {
  const { keeper, set, after } = stage();
  set('automatic', 30);
  expect(await after(keeper.keepAlive())).toEqual(['activate 25', 'keepalive']);
  set('automatic', 90);
  expect(await after(keeper.keepAlive())).toEqual(['activate 85', 'keepalive']);
  set('off', 90);
  expect(await after(keeper.keepAlive())).toEqual(['disable']);
  expect(await after(keeper.keepAlive())).toEqual([]);
});

it('a device that does not count is not activated where only one that counts is kept alive', async () => {
  const { keeper, set, after } = stage();
  set('automatic', 30);
  expect(await after(keeper.keepCounting())).toEqual([]);
  await after(keeper.keepAlive());
  expect(await after(keeper.keepCounting())).toEqual(['activate 25', 'keepalive']);
});
