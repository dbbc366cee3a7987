/** Random rounds of member `a`, a primary that was started again with its clients kept out. */
import fc from 'fast-check';
import type { Memory, Observation } from '../../src/core/model.ts';
import { lsn, memory, noLease, observation, pg, settings, view, walsender } from './build.ts';
import { namesInForce } from './random-names.ts';

const NOW_MS = 10_000;
const END = 2000;
const NAMES = ['', 'b', 'ANY 1 (b,c)', 'ANY 2 (b,c)', '2 (b,c)'];

export const admissionRound: fc.Arbitrary<Observation> = fc
  .record({
    names: namesInForce(...NAMES),
    flushed: fc.array(fc.record({ name: fc.constantFrom('b', 'c', 'd'), bytes: fc.constantFrom(END - 1, END, END + 1) }), { maxLength: 3 }),
    server: fc.constantFrom('primary', 'primary', 'primary', 'standby', 'starting'),
    leads: fc.constantFrom(true, true, true, false),
    dynamic: fc.record({
      synchronousMode: fc.constantFrom<('on' | 'quorum')[]>('on', 'quorum'),
      synchronousModeStrict: fc.boolean(),
      pause: fc.constantFrom(false, false, false, true),
    }),
  })
  .map(({ names, flushed, server, leads, dynamic }) => {
    const replication = flushed.map(({ name, bytes }) => walsender(name, { flushLsn: lsn(bytes) }));
    const sql = { ...names, replication };
    const facts =
      server === 'primary' ? pg.primary({ ...sql, flushLsn: lsn(END + 1) }) : server === 'standby' ? pg.standby(sql) : pg.starting();
    return observation({
      nowMs: NOW_MS,
      view: view({ leaderName: leads ? 'a' : 'b' }),
      ...(leads ? {} : { lease: noLease }),
      pg: { ...facts, clientsOut: true },
      settings: settings('a', { dynamic }),
    });
  });

export const admissionMemory: fc.Arbitrary<Memory> = fc
  .constantFrom(null, { lsn: lsn(END), atMs: NOW_MS - 100 }, { lsn: lsn(END), atMs: NOW_MS - 10_000 })
  .map((recovered) => memory({ role: 'primary', recovered }));
