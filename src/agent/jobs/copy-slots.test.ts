/** A copy of slots can wait: PostgreSQL stops for it only when nobody waits for this member. */
import { describe, expect, it } from 'vitest';
import { member, settings, view } from '../../../test/support/build.ts';
import { fake } from '../../../test/support/fake.ts';
import { instantClock } from '../../../test/support/instant-clock.ts';
import type { ClusterView } from '../../core/cluster.ts';
import { codeOf } from '../../support/errors.ts';
import { type CopySlotsPorts, copySlots } from './copy-slots.ts';

/** What a member publishes that is about to stop. */
const LEAVING = { tags: { nosync: true, sync_priority: 0 }, lsn: null };
const job = {
  kind: 'copy-slots',
  source: { name: 'b', host: 'b', port: 5432 },
  slots: ['app'],
  role: { kind: 'standby', source: null },
} as const;

/** Member a has told that it leaves; others and /sync as given. */
function seen(over: Parameters<typeof view>[0] = {}, other: Parameters<typeof member>[1] = {}): ClusterView {
  const members = [member('a', LEAVING), member('b', { role: 'primary' }), member('c', other)];
  return view({ leaderName: 'b', members, ...over });
}
const listing = (...standbys: string[]) => ({ leader: 'b', quorum: 0, standbys, modRevision: '3' });

async function run(looks: readonly ClusterView[], fails: Partial<Record<string, number>> = {}): Promise<readonly string[]> {
  const calls: string[] = [];
  const times: Record<string, number> = {};
  const call = async (name: string) => {
    calls.push(name);
    times[name] = (times[name] ?? 0) + 1;
    if (fails[name] === times[name]) throw Object.assign(new Error(`${name} failed`), { code: `${name.toUpperCase()}_FAILED` });
  };
  let look = 0;
  const ports: CopySlotsPorts = {
    settings: { current: () => settings('a', { dynamic: { synchronousMode: 'quorum', loopWaitSeconds: 2 } }) },
    clock: instantClock({ nowMs: 1000 }),
    log: { info() {}, warning: () => void calls.push('warning') },
    dcs: { read: async () => looks[Math.min(look++, looks.length - 1)]! },
    pg: {
      fetchSlots: async () => {
        await call('fetch');
        return [{ name: 'app', state: new Uint8Array() }];
      },
      stop: () => call('stop'),
      placeSlots: () => call('place'),
      removeSlots: () => call('remove'),
      start: async () => {
        await call('start');
        return { notWritten: [] };
      },
    },
    fence: fake<CopySlotsPorts['fence']>({ disarm: async () => {} }),
    leaving: () => void calls.push('leaving'),
    stopping: () => void calls.push('stopping'),
    configApplied() {},
  };
  await copySlots(ports, job, new AbortController().signal).catch((error: unknown) => calls.push(codeOf(error) ?? String(error)));
  return calls;
}

const whole = ['fetch', 'leaving', 'stopping', 'stop', 'place', 'start'];

describe('a copy of logical slots', () => {
  it('stops PostgreSQL when all know that it leaves and nobody waits for it', async () => {
    expect(await run([seen()])).toEqual(whole);
    expect(await run([seen({ sync: listing('a', 'c') }), seen({ sync: listing('a', 'c') }), seen({ sync: listing('c') })])).toEqual(whole);
  });

  it('is put off while the leader counts on it, or does not see that it leaves', async () => {
    const untold = seen({ members: [member('a'), member('b', { role: 'primary' })] });
    for (const look of [seen({ sync: listing('a') }), untold])
      expect(await run([look])).toEqual(['fetch', 'leaving', 'SLOT_COPY_POSTPONED']);
  });

  it('is put off when another member is about to restart, or another leads', async () => {
    const away = { ...seen(), leader: null };
    for (const look of [seen({}, LEAVING), seen({}, { state: 'restarting' }), seen({ leaderName: 'c' }), away])
      expect(await run([seen(), look])).toEqual(['fetch', 'leaving', 'SLOT_COPY_POSTPONED']);
  });

  it('does not even leave when the slots are of no use here', async () => {
    expect(await run([seen()], { fetch: 1 })).toEqual(['fetch', 'FETCH_FAILED']);
  });

  it('starts without them where PostgreSQL does not start with them, and fails', async () => {
    expect(await run([seen()], { start: 1 })).toEqual([...whole, 'warning', 'remove', 'start', 'START_FAILED']);
    expect(await run([seen()], { place: 1 })).toEqual([...whole.slice(0, -1), 'warning', 'remove', 'start', 'PLACE_FAILED']);
  });
});
