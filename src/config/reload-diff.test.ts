import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../support/json.ts';
import { examineLocal, loadLocal } from './load.ts';
import { patchMerge } from './merge.ts';
import { diffLocal } from './reload-diff.ts';

const { raw } = examineLocal({ path: 'test/fixtures/patroni.yml', env: {} });
const local = (patch: JsonObject) =>
  loadLocal({ path: null, env: { PATRONI_CONFIGURATION: JSON.stringify(patchMerge(raw, patch)) } }).local;

describe('diffLocal', () => {
  it('finds nothing where nothing changed', () => {
    expect(diffLocal(local({}), local({}))).toEqual([]);
  });

  it.each<[JsonObject, string, string]>([
    [{ scope: 'other' }, 'scope', 'restart-agent'],
    [{ name: 'other' }, 'name', 'restart-agent'],
    [{ namespace: 'other' }, 'namespace', 'restart-agent'],
    [{ etcd3: { hosts: 'h:1' } }, 'etcd.endpoints', 'restart-agent'],
    [{ etcd3: { password: 'other' } }, 'etcd.password', 'reload'],
    [{ restapi: { listen: '0.0.0.0:9000' } }, 'restapi.listenPort', 'restart-agent'],
    [{ restapi: { authentication: { password: 'x' } } }, 'restapi.authentication, ctl.authentication', 'reload'],
    [{ postgresql: { listen: '0.0.0.0:6000' } }, 'postgresql.listenAddresses, postgresql.port', 'restart-postgres'],
    [{ postgresql: { data_dir: '/other', config_dir: '/conf' } }, 'postgresql.dataDir, postgresql.configDir', 'restart-agent'],
    [{ postgresql: { parameters: { work_mem: '1MB' } } }, 'postgresql.parameters', 'reload'],
    [{ bootstrap: { dcs: { ttl: 60 } } }, 'bootstrap.dcs', 'bootstrap'],
    [{ bootstrap: null }, 'bootstrap', 'bootstrap'],
    [{ tags: { clonefrom: null } }, 'tags.clonefrom', 'reload'],
    [{ watchdog: { mode: 'off' } }, 'watchdog.mode', 'reload'],
    [{ log: { level: 'DEBUG' } }, 'log.level', 'reload'],
  ])('%j', (patch, changed, need) => {
    const changes = diffLocal(local({}), local(patch));
    expect(changes.map(({ section, key }) => (key === '' ? section : `${section}.${key}`)).join(', ')).toBe(changed);
    expect([...new Set(changes.map((change) => change.need))]).toEqual([need]);
  });
});
