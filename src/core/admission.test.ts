/** When clients are let into a primary that was started again. */
import { expect, it } from 'vitest';
import { authority, lsn, memory, observation, pg, settings, view, walsender } from '../../test/support/build.ts';
import { clientsWait, keepsClientsOut, recovered } from './admission.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import type { ServerRole } from './effects.ts';
import type { DynamicSettings } from './settings.ts';

const END = 2000;
const leads = view({ leaderName: 'a' });

interface Scene {
  readonly names?: string;
  /** Where each standby that streams has flushed, in bytes. */
  readonly flushed?: Readonly<Record<string, number>>;
  readonly dynamic?: Partial<DynamicSettings>;
  readonly waitedMs?: number;
  readonly etcd?: boolean;
}

function round({ names = 'ANY 1 (b,c)', flushed = {}, dynamic = {}, waitedMs = 100, etcd = true }: Scene) {
  const replication = Object.entries(flushed).map(([name, bytes]) => walsender(name, { flushLsn: lsn(bytes) }));
  const facts = { ...pg.primary({ flushLsn: lsn(END + 50), synchronousStandbyNames: names, replication }), clientsOut: true as const };
  const o = observation({
    view: etcd ? leads : null,
    key: { leaseId: 'lease-a', stepDownAtMs: 30_000 },
    pg: facts,
    settings: settings('a', { dynamic: { synchronousMode: 'quorum', ...dynamic } }),
  });
  return { o, m: memory({ recovered: { lsn: lsn(END), atMs: o.nowMs - waitedMs } }) };
}

function admits(scene: Scene): { readonly because: string; readonly warn: boolean } | null {
  const { o, m } = round(scene);
  const effect = decide(o, m).effects.find(({ kind }) => kind === 'admit-clients');
  return effect?.kind === 'admit-clients' ? { because: effect.because, warn: effect.warn } : null;
}

it('lets clients in once so many standbys confirmed the end of recovery as confirm a commit', () => {
  expect(admits({ flushed: { b: END - 1, c: END - 1 } })).toBeNull();
  expect(admits({ flushed: { b: END - 1, c: END } })).toEqual({
    because: 'clients are let in: c confirmed all that was recovered, up to 2000',
    warn: false,
  });
  expect(admits({ names: 'ANY 2 (b,c)', flushed: { b: END, c: END - 1 } })).toBeNull();
  expect(admits({ names: 'ANY 2 (b,c)', flushed: { b: END, c: END } })).not.toBeNull();
  expect(admits({ names: 'b', flushed: { c: END } })).toBeNull();
});

it('does so while etcd does not answer, too', () => {
  expect(admits({ flushed: { b: END }, etcd: false })).not.toBeNull();
});

it('waits for ten seconds at most, unless commits must wait for a standby', () => {
  expect(admits({ waitedMs: 9999 })).toBeNull();
  expect(admits({ waitedMs: 10_000 })).toMatchObject({ warn: true });
  expect(admits({ waitedMs: 100_000, dynamic: { synchronousModeStrict: true } })).toBeNull();
});

it('lets them in where nobody else may lead without what is here, and in a pause', () => {
  expect(admits({ names: '' })).not.toBeNull();
  expect(admits({ names: '__patroni_strict_sync_replica_placeholder__', dynamic: { synchronousModeStrict: true } })).not.toBeNull();
  expect(admits({ dynamic: { pause: true } })).not.toBeNull();
});

it('does not let them in on a node that may not lead', () => {
  const { o, m } = round({ flushed: { b: END, c: END } });
  const expired = { ...o, authority: authority({ confirmedSentAtMs: o.nowMs - 30_000 }) };
  expect(decide(expired, m).effects.map(({ kind }) => kind)).not.toContain('admit-clients');
});

it('says what it waits for', () => {
  const { o, m } = round({ names: 'ANY 1 (b,c)' });
  expect(clientsWait(contextOf(o, m))).toBe('clients wait until 1 of b, c confirmed what was recovered here');
  expect(clientsWait(contextOf({ ...o, pg: pg.primary() }, m))).toBeNull();
});

it('remembers where the WAL ended when it saw the primary first', () => {
  const { o, m } = round({});
  const first = recovered(contextOf(o, memory()), memory());
  expect(first).toEqual({ lsn: lsn(END + 50), atMs: o.nowMs });
  expect(recovered(contextOf(o, m), m)).toEqual(m.recovered);
  expect(recovered(contextOf({ ...o, pg: pg.primary() }, m), m)).toBeNull();
});

it('keeps clients out of a start whose commits wait for standbys', () => {
  const keeps = (role: ServerRole, synchronousMode: 'off' | 'quorum' = 'quorum') => keepsClientsOut(role, { synchronousMode });
  expect(keeps({ kind: 'primary', syncNames: 'ANY 1 (b,c)' })).toBe(true);
  expect(keeps({ kind: 'primary', syncNames: '' })).toBe(false);
  expect(keeps({ kind: 'primary', syncNames: null })).toBe(false);
  expect(keeps({ kind: 'standby', source: null })).toBe(false);
  // An agent that is locked out restarts it by its files.
  expect([keeps({ kind: 'primary' }), keeps({ kind: 'primary' }, 'off')]).toEqual([true, false]);
});
