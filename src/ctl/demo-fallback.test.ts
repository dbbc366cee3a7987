import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withDemo } from './demo-fallback.ts';

let home: string;
const somebody = 4_000_000;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-ctl-'));
  mkdirSync(join(home, 'regent-demo'));
  writeFileSync(join(home, 'regent-demo', 'regentctl.yml'), 'scope: demo\n');
});
afterEach(() => rmSync(home, { recursive: true }));

const env = (more = {}) => ({ HOME: home, XDG_STATE_HOME: home, ...more });

it('means the demo when nothing else is said', () => {
  expect(withDemo(env(), somebody)['PATRONICTL_CONFIG_FILE']).toBe(join(home, 'regent-demo', 'regentctl.yml'));
});

it('keeps to what the environment says', () => {
  const told = env({ PATRONI_ETCD3_HOSTS: 'etcd1:2379' });
  expect(withDemo(told, somebody)).toBe(told);
});

it('keeps to the user’s own file', () => {
  mkdirSync(join(home, '.config', 'patroni'), { recursive: true });
  writeFileSync(join(home, '.config', 'patroni', 'patronictl.yaml'), 'scope: mine\n');
  expect(withDemo(env(), somebody)['PATRONICTL_CONFIG_FILE']).toBeUndefined();
});

it('says nothing where there is no demo', () => {
  rmSync(join(home, 'regent-demo'), { recursive: true });
  expect(withDemo(env(), somebody)['PATRONICTL_CONFIG_FILE']).toBeUndefined();
});
