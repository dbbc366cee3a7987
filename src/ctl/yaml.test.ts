import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseYaml } from '../config/yaml.ts';
import type { JsonObject } from '../support/json.ts';
import { CtlError } from './errors.ts';
import { toFlowYaml, toYaml, yamlMapping, yamlValue } from './yaml.ts';

test("a configuration looks as PyYAML's safe_dump prints it", () => {
  const config = {
    ttl: 30,
    synchronous_mode: 'quorum',
    pause: true,
    nothing: null,
    postgresql: {
      use_pg_rewind: true,
      parameters: { wal_level: 'replica', archive_mode: 'on', port: '100' },
      pg_hba: ['local all all trust'],
    },
    empty: {},
    list: [],
    name: "it's",
    at: '2030-01-01T00:00:00+00:00',
  };
  expect(toYaml(config)).toBe(`at: '2030-01-01T00:00:00+00:00'
empty: {}
list: []
name: it's
nothing: null
pause: true
postgresql:
  parameters:
    archive_mode: 'on'
    port: '100'
    wal_level: replica
  pg_hba:
  - local all all trust
  use_pg_rewind: true
synchronous_mode: quorum
ttl: 30
`);
});

test('tags on one line', () => {
  expect(toFlowYaml({ nofailover: true, replicatefrom: 'pg-2' })).toBe('{nofailover: true, replicatefrom: pg-2}');
});

test('the shown text reads back as the same configuration', () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom('on', 'no', 'null', '~', '0640', '1e3', '12:30', '- x', '# x', ' x '),
  );
  const keys = fc.string({ minLength: 1, maxLength: 8, unit: fc.constantFrom(...'abcxyz_.-') });
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('tree'), { maxLength: 3 }), fc.dictionary(keys, tie('tree'), { maxKeys: 4 })),
  }));
  fc.assert(
    fc.property(fc.dictionary(keys, tree), (config) => {
      const { raw, problems } = parseYaml(toYaml(config), 'test');
      expect(problems).toEqual([]);
      // A plain copy: the generator's dictionaries have no prototype.
      expect(raw).toEqual(JSON.parse(JSON.stringify(config)) as JsonObject);
    }),
  );
});

test('values typed on the command line are YAML, and dates stay text', () => {
  expect(yamlValue('on')).toBe(true);
  expect(yamlValue('"on"')).toBe('on');
  expect(yamlValue('null')).toBe(null);
  expect(yamlValue('')).toBe(null);
  expect(yamlValue('[1, a]')).toEqual([1, 'a']);
  expect(yamlValue('2030-01-01')).toBe('2030-01-01');
  expect(() => yamlValue('{a')).toThrow(CtlError);
});

test('a broken document is an error with its line and column', () => {
  expect(() => yamlMapping('ttl: 30\nttl: 40\n', 'x.yml')).toThrow(/x\.yml:2:1/);
  expect(yamlMapping('# only a comment\n', 'x.yml')).toBe(null);
});
