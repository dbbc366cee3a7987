import { expect, test } from 'vitest';
import { configKeyNames } from './conform.ts';

test('words of every level, local and dynamic', () => {
  const names = configKeyNames();
  for (const name of [
    'scope',
    'postgresql',
    'authentication',
    'replication',
    'password',
    'etcd3',
    'bootstrap',
    'dcs',
    'ttl',
    'maximum_lag_on_failover',
  ])
    expect(names).toContain(name);
  for (const name of names) expect(name).toMatch(/^[a-z]\w*$/);
});
