import { expect, test } from 'vitest';
import { applyPairs, parameterPairs } from './config-changes.ts';

const config = { ttl: 30, postgresql: { parameters: { max_connections: 100 }, use_slots: true } };

test('a dotted path reaches into maps, and makes them', () => {
  expect(applyPairs(config, ['standby_cluster.host=a', 'ttl=20'])).toEqual({ ...config, ttl: 20, standby_cluster: { host: 'a' } });
});

test('below postgresql.parameters the rest of the path is one name', () => {
  const changed = applyPairs({}, ['postgresql.parameters.auto_explain.log_min_duration=1s']);
  expect(changed).toEqual({ postgresql: { parameters: { 'auto_explain.log_min_duration': '1s' } } });
  expect(applyPairs({}, parameterPairs(['auto_explain.log_min_duration=1s']))).toEqual(changed);
});

test('null takes a key away, and the maps it leaves empty', () => {
  expect(applyPairs({ a: { b: { c: 1 } }, d: 2 }, ['a.b.c=null'])).toEqual({ d: 2 });
  expect(applyPairs(config, ['postgresql.parameters.max_connections='])).toEqual({ ttl: 30, postgresql: { use_slots: true } });
  expect(applyPairs(config, ['nobody.there=null'])).toEqual(config);
});

test('a scalar in the way is replaced; the value may hold an equals sign', () => {
  expect(applyPairs({ a: 1 }, ["a.b='x=y'"])).toEqual({ a: { b: 'x=y' } });
});

test('the given configuration is left alone', () => {
  const before = structuredClone(config);
  applyPairs(config, ['postgresql.parameters.work_mem=4MB']);
  expect(config).toEqual(before);
});

test.each(['ttl', '=5', 'a..b=1'])('%s is refused', (pair) => {
  expect(() => applyPairs({}, [pair])).toThrow(`Invalid parameter setting ${pair}`);
});
