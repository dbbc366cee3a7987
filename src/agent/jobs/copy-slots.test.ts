/** A copy of slots can wait: PostgreSQL stops for it only when nobody waits for this member. */
import { describe, expect, it } from 'vitest';
import { lsn, member, settings, view } from '../../../test/support/build.ts';
import { fake } from '../../../test/support/fake.ts';
import { instantClock } from '../../../test/support/instant-clock.ts';
import type { ClusterView } from '../../core/cluster.ts';
import { codeOf } from '../../support/errors.ts';
import { type CopySlotsPorts, copySlots } from './copy-slots.ts';

/** What a member publishes that is about to stop. */
const LEAVING = { tags: { nosync: true, sync_priority: 0 }, lsn: null };
const spec = { type: 'logical', database: 'shop', plugin: 'pgoutput' } as const;
const WANTED = { app: spec, other: spec };
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

/** `placed`: the slots whose WAL is still here after the stop. */
async function run(
  looks: readonly ClusterView[],
  fails: Partial<Record<string, number>> = {},
  { slots = ['app'], placed = slots }: { readonly slots?: readonly string[]; readonly placed?: readonly string[] } = {},
): Promise<readonly string[]> {
  const calls: string[] = [];
  const times: Record<string, number> = {};
  const call = async (name: string) => {
    calls.push(name);
    times[name] = (times[name] ?? 0) + 1;
    if (fails[name] === times[name]) throw Object.assign(new Error(`${name} failed`), { code: `${name.toUpperCase()}_FAILED` });
  };
  let look = 0;
  const ports: CopySlotsPorts = {
    settings: { current: () => settings('a', { dynamic: { synchronousMode: 'quorum', loopWaitSeconds: 2, slots: WANTED } }) },
    clock: instantClock({ nowMs: 1000 }),
    log: { info() {}, warning: () => void calls.push('warning') },
    dcs: { read: async () => looks[Math.min(look++, looks.length - 1)]! },
    pg: {
      fetchSlots: async (_, wanted) => {
        await call('fetch');
        expect(wanted).toEqual(slots.map((name) => ({ name, database: 'shop', plugin: 'pgoutput' })));
        return wanted.map(({ name }) => ({ name, restart: lsn(400), state: new Uint8Array() }));
      },
      stop: (_, { beforeStopMs }) => {
        // As for every stop in good order: pg_ctl_timeout, apart from the time of the stop itself.
        expect(beforeStopMs).toBe(60_000);
        return call('stop');
      },
      placeSlots: async () => {
        await call('place');
        return placed;
      },
      removeSlots: () => call('remove'),
      start: async () => {
        await call('start');
        return { notWritten: [] };
      },
    },
    fence: fake<CopySlotsPorts['fence']>({ disarm: async () => {} }),
    leaving: () => void calls.push('leaving'),
    stopping: () => void calls.push('stopping'),
    copied: (names) => void calls.push(`copied ${names.join(', ')}`),
    configApplied() {},
  };
  await copySlots(ports, { ...job, slots }, new AbortController().signal).catch((error: unknown) =>
    calls.push(codeOf(error) ?? String(error)),
  );
  return calls;
}

const untilStart = ['fetch', 'leaving', 'stopping', 'stop', 'place', 'start'];
const whole = [...untilStart, 'copied app'];

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

  it('tells which it has copied, and fails when the stop took the WAL of all', async () => {
    const two = ['app', 'other'];
    expect(await run([seen()], {}, { slots: two, placed: ['other'] })).toEqual([...untilStart, 'copied other']);
    expect(await run([seen()], {}, { slots: two, placed: [] })).toEqual([...untilStart, 'SLOT_NOT_COPIED']);
  });

  it('is put off when nobody wants the slots any more', async () => {
    expect(await run([seen()], {}, { slots: ['former'] })).toEqual(['SLOT_COPY_POSTPONED']);
  });

  it('starts without them where PostgreSQL does not start with them, and fails', async () => {
    expect(await run([seen()], { start: 1 })).toEqual([...untilStart, 'warning', 'remove', 'start', 'START_FAILED']);
    expect(await run([seen()], { place: 1 })).toEqual([...untilStart.slice(0, -1), 'warning', 'remove', 'start', 'PLACE_FAILED']);
  });
});
