import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { drawSettings, tableNames } from '../../tools/draw-settings.ts';
import { readEnvironment } from './env.ts';
import { originsOf } from './reload-diff.ts';
import { eachSetting } from './setting.ts';
import { dynamicTable, localTable } from './table.ts';

const reference = readFileSync('docs/configuration.md', 'utf8');

it('draws the tables of docs/configuration.md (rewrite with vitest -u)', async () => {
  await expect(drawSettings(reference)).toMatchFileSnapshot('../../docs/configuration.md');
});

it('draws every table once', () => {
  expect([...reference.matchAll(/<!-- settings: (.+?) -->/g)].map((match) => match[1]).sort()).toEqual([...tableNames].sort());
});

it('describes each setting in one sentence', () => {
  for (const table of [localTable, dynamicTable]) {
    eachSetting(table, (path, { doc }) => expect(doc, path.join('.')).toMatch(/^\S[^\n]*\.$/));
  }
});

it('names no environment variable twice', () => {
  const names = new Map<string, string>();
  const { etcd: _, ...table } = localTable;
  eachSetting(table, (path, { about }, around) => {
    const name = about.env === undefined ? (around.env === undefined ? null : around.env + path.at(-1)!.toUpperCase()) : about.env;
    if (name === null) return;
    expect(names.get(name), name).toBeUndefined();
    names.set(name, path.join('.'));
  });
  expect(names.get('SUPERUSER_SSLMODE')).toBe('postgresql.authentication.superuser.sslmode');
});

it('reads the variables of an etcd by the table, logins only beside another', () => {
  const login = { PATRONI_ETCD3_USERNAME: 'u', PATRONI_ETCD3_PASSWORD: 'p' };
  expect(readEnvironment({ ...login, PATRONI_ETCD3_USE_PROXIES: 'on', PATRONI_ETCD3_PORT: '7' }).raw).toEqual({
    etcd3: { use_proxies: true, port: 7, username: 'u', password: 'p' },
  });
  expect(readEnvironment(login).raw).toEqual({});
});

it('delays a setting only for a section or a setting of the table', () => {
  const known = new Set(Object.keys(localTable));
  eachSetting(localTable, (path) => known.add(path.join('.')));
  eachSetting(localTable, (path, { about }) => {
    if (about.holds !== undefined) expect(known, path.join('.')).toContain(about.holds);
  });
});

it('has a row for every setting of the agent', () => {
  const paths = (name: string) => originsOf(name).map(({ path }) => path.join('.'));
  expect(paths('etcd.key')).toEqual(['etcd.cert', 'etcd.key']);
  expect(paths('postgresql.configDir')).toEqual(['postgresql.data_dir', 'postgresql.config_dir']);
  expect(paths('postgresql.pgpass')).toEqual(['name', 'postgresql.pgpass']);
  expect(paths('log.fileSizeBytes')).toEqual(['log.file_size']);
});
