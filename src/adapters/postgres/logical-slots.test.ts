import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lsn, settings } from '../../../test/support/build.ts';
import { fake } from '../../../test/support/fake.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { LocalServer } from './local-server.ts';
import { workLogicalSlots } from './logical-slots.ts';

let dataDir = '';

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'regent-slots-'));
  mkdirSync(join(dataDir, 'pg_wal'));
  writeFileSync(join(dataDir, 'pg_wal', '000000010000000000000002'), '');
});
afterEach(() => rmSync(dataDir, { recursive: true }));

/** `begins`: where the WAL of each slot of this standby begins. */
function server(begins: Readonly<Record<string, string>>, asked: string[][] = []): LocalServer {
  const client = fake<pg.Client>({
    query: (_: string, [names]: [string[]]) => {
      asked.push(names);
      return Promise.resolve({ rows: Object.entries(begins).map(([name, restart]) => ({ name, restart })) });
    },
  } as unknown as Partial<pg.Client>);
  return fake<LocalServer>({
    settings: settings('a', { postgresql: { dataDir } }),
    runAs: null,
    walSegmentBytes: 16 * 1024 * 1024,
    clock: fake<Clock>({ monotonicMs: () => 0 }),
    heartbeat: fake<Heartbeat>({ use: (_settings, _options, work) => work(client) }),
  });
}

// Nobody listens there.
const leader = { name: 'b', host: '127.0.0.1', port: 1 };
const compare = (...names: string[]) => ({ leader, physical: 'a', names });

it('a copy whose WAL is not here is broken, also where the leader cannot be asked about it', async () => {
  const asked: string[][] = [];
  const place = server({ adopted: '0/1FFFFFF', whole: '0/2000000' }, asked);
  const { broken, held, failures } = await workLogicalSlots(
    place,
    { create: [], advance: [], compare: compare('adopted', 'whole') },
    { timeoutMs: 10_000 },
  );
  expect(broken).toEqual(['adopted']);
  expect(held).toBeNull();
  expect(failures).toEqual(['the WAL that the copy adopted begins with is not here', expect.stringMatching(/^compare adopted, whole: /)]);
  expect(asked).toEqual([['adopted', 'whole']]);
});

it('one that is proven is looked at before it is moved, and not moved where its WAL is not here', async () => {
  const advance = [{ name: 'app', database: 'shop', to: lsn(0x3000000) }];
  const work = { create: [], advance, compare: null };
  const { broken, failures } = await workLogicalSlots(server({ app: '0/1000000' }), work, { timeoutMs: 10_000 });
  expect(broken).toEqual(['app']);
  expect(failures).toEqual(['the WAL that the copy app begins with is not here']);
});
