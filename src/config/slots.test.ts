import { describe, expect, it } from 'vitest';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import type { JsonObject } from '../support/json.ts';
import { resolveDynamic, validateDynamicPatch } from './dynamic.ts';
import { loadLocal } from './load.ts';

const { write } = configFiles();
const WAL = { parameters: { wal_level: 'logical' } };
const read = (slots: JsonObject, more: JsonObject = {}) => resolveDynamic({ slots, postgresql: WAL, ...more });
const physical = { type: 'physical' };
const logical = { type: 'logical', database: 'shop', plugin: 'pgoutput' };

describe('slots', () => {
  it.each([
    ['null', null],
    ['0', 0],
    ['false', false],
    ['an empty text', ''],
    ['an empty mapping', {}],
    ['an empty list', []],
    ['its type', { type: 'physical' }],
  ])('make a physical slot of %s', (_, spec) => {
    const { dynamic, problems } = read({ a: spec });
    expect(dynamic.slots).toEqual({ a: physical });
    expect(problems).toEqual([]);
  });

  it('make a logical slot of a database and a plugin, with or without a type', () => {
    const { dynamic, problems } = read({ a: logical, b: { database: 'shop', plugin: 'pgoutput' } });
    expect(dynamic.slots).toEqual({ a: logical, b: logical });
    expect(problems).toEqual([]);
  });

  it.each<[string, JsonObject]>([
    ['not a mapping', { a: 1 }],
    ['not a mapping', { a: 'physical' }],
    ['its type is neither physical nor logical', { a: { type: 'none' } }],
    ['a logical slot without a database or plugin', { a: { type: 'logical', database: 'shop' } }],
    ['a logical slot without a database or plugin', { a: { type: 'logical', database: 'shop', plugin: 5 } }],
    ['its cluster_type is neither primary nor standby', { a: { type: 'physical', cluster_type: 'both' } }],
    ['not the name of a slot', { 'A-1': null }],
  ])('with a wrong one: %s in %j. It is warned of and ignored, and the others count', (message, wrong) => {
    const { dynamic, problems } = read({ ...wrong, good: 0 });
    expect(dynamic.slots).toEqual({ good: physical });
    expect(problems).toEqual([
      expect.objectContaining({ path: `slots.${Object.keys(wrong)[0]}`, message: `${message}; it is ignored`, severity: 'warning' }),
    ]);
    expect(problems[0]?.mend).toMatch(/^(write|use) /);
  });

  it('that are half logical are physical, as Patroni makes them, with a warning', () => {
    const { dynamic, problems } = read({ a: { database: 'shop' } });
    expect(dynamic.slots).toEqual({ a: physical });
    expect(problems).toEqual([expect.objectContaining({ message: 'a physical slot has no database; it is made as a physical one' })]);
  });

  it('count for a type of cluster; a standby cluster has no logical ones', () => {
    const slots = { here: { cluster_type: 'primary' }, there: { cluster_type: 'standby' }, both: {}, app: logical };
    expect(Object.keys(read(slots).dynamic.slots)).toEqual(['here', 'both', 'app']);
    expect(Object.keys(read(slots, { standby_cluster: { host: 'h' } }).dynamic.slots)).toEqual(['there', 'both']);
    const standby = read({ ...slots, 'Bad-Name': {} }, { standby_cluster: { host: 'h' } });
    expect(Object.keys(standby.dynamic.slotsElsewhere)).toEqual(['here', 'app']);
    expect(standby.problems).toContainEqual(
      expect.objectContaining({
        path: 'slots.app',
        message: expect.stringMatching(/^a standby cluster keeps no logical slots/),
        severity: 'warning',
      }),
    );
    expect(read({ app: { ...logical, cluster_type: 'primary' } }).problems).toEqual([
      expect.objectContaining({ message: 'cluster_type counts for physical slots only; it is ignored' }),
    ]);
  });

  it('that are logical need wal_level logical', () => {
    const said = { path: 'slots.app', message: 'a logical slot needs wal_level logical', severity: 'warning' };
    for (const postgresql of [{}, { parameters: { wal_level: 'replica' } }])
      expect(read({ app: logical, dr: 0 }, { postgresql }).problems).toEqual([expect.objectContaining(said)]);
  });

  it('have old names, which win where they name any', () => {
    const of = (more: JsonObject) => Object.keys(read({ a: null }, more).dynamic.slots);
    expect(of({ permanent_slots: { b: null } })).toEqual(['b']);
    expect(of({ permanent_slots: { b: 0 }, permanent_replication_slots: { c: null } })).toEqual(['c']);
    expect(of({ permanent_slots: {} })).toEqual(['a']);
  });

  it('count in a node’s file without a value', () => {
    const path = write(`${BASE}bootstrap:\n  dcs:\n    slots:\n      a:\n      b: 0\n`);
    const { local } = loadLocal({ path, env: {} });
    expect(resolveDynamic(local.bootstrap?.dcs ?? {}).dynamic.slots).toEqual({ a: physical, b: physical });
  });

  it('are removed by a null in a patch', () => {
    expect(validateDynamicPatch({ slots: { a: null } }, { slots: { a: { type: 'wrong' } } })).toEqual([]);
  });
});

describe('ignore_slots', () => {
  const problems = (...entries: JsonObject[]) => resolveDynamic({ ignore_slots: entries }).problems.map(({ message }) => message);

  it('warns of keys that it does not know and of entries that match every slot', () => {
    expect(problems({ name: 'a' }, { type: 'logical', plugin: 'wal2json' })).toEqual([]);
    expect(problems({ name: 'a', slot: 'b' })).toEqual(["unknown key 'slot'; it is ignored"]);
    expect(problems({})).toEqual(['it names nothing, so every slot is left alone']);
    expect(problems({ names: 'a' })).toHaveLength(2);
  });
});
