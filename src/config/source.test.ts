import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { beforeEach, describe, expect, it, test, vi } from 'vitest';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import type { ConfigKey } from '../core/cluster.ts';
import type { JsonObject } from '../support/json.ts';
import { readDynamicCache, writeDynamicCache } from './cache.ts';
import { loadLocal } from './load.ts';
import { formatProblem } from './problems.ts';
import { createSettingsSource } from './source.ts';

const { write } = configFiles();
let log: ReturnType<typeof keptLog>;

beforeEach(() => {
  log = keptLog();
});

/** Of a file with BASE, in which `text` is written afterwards. */
function sourceThen(text: string) {
  const path = write(BASE);
  const settings = createSettingsSource({ path, env: {}, loaded: loadLocal({ path, env: {} }), log });
  writeFileSync(path, text);
  return settings;
}

test('a sound change is taken over', () => {
  const settings = sourceThen(`${BASE}  parameters: {work_mem: 5MB}\n`);
  expect(settings.previewReload?.()).toEqual({ refusal: null, waiting: [] });
  expect(log.lines).toEqual([]);
  expect(settings.reload()).toBe('changed');
  expect(settings.reload()).toBe('same');
  expect(log.lines).toEqual([
    expect.stringMatching(/^info configuration read again from .*p\.yml: postgresql\.parameters changed$/),
    'info No local configuration items changed.',
  ]);
});

test('a broken file is refused, and nothing else is said', () => {
  const settings = sourceThen(BASE.replace('postgresql:', 'postgresq:'));
  const preview = settings.previewReload?.();
  expect(preview).toMatchObject({ waiting: [] });
  expect(preview?.refusal).toMatch(/^the configuration was not reloaded, the old one stays in force: warning: .*did you mean 'postgresql'/);
  expect(settings.reload()).toBe('refused');
  expect(log.lines).toEqual([`error ${preview?.refusal}`, `error ${preview?.refusal}`]);
  expect(settings.local().scope).toBe('demo');
});

describe('a file with a part that needs a restart of the agent', () => {
  const MORE = 'tags: {zone: b}\n';
  it.each<[string, string, string[]]>([
    ['another scope', BASE.replace('scope: demo', 'scope: other'), ['scope']],
    ['another name', BASE.replace('name: a', 'name: b'), ['name']],
    ['another namespace', `${BASE}namespace: ns\n`, ['namespace']],
    ['other hosts of etcd', BASE.replace('2379', '2479'), ['etcd3.hosts']],
    ['a port of etcd', BASE.replace("hosts: '127.0.0.1:2379'", "hosts: '127.0.0.1', port: 2479"), ['etcd3.hosts', 'etcd3.port']],
    ['hosts instead of a host', BASE.replace("hosts: '127.0.0.1:2379'", "url: 'http://127.0.0.1:1'"), ['etcd3.hosts', 'etcd3.url']],
    [
      'etcd with another login',
      BASE.replace("hosts: '127.0.0.1:2379'", 'hosts: h, username: u, password: p'),
      ['etcd3.hosts', 'etcd3.username', 'etcd3.password'],
    ],
    ['a certificate of etcd', BASE.replace("2379'}", "2379', cacert: /ca}"), ['etcd3.cacert']],
    ['another address of the REST server', BASE.replaceAll('8008', '9008'), ['restapi.listen', 'restapi.connect_address']],
    [
      'another data directory, and its programs',
      BASE.replace('/data/a', '/data/b\n  bin_dir: /16'),
      ['postgresql.data_dir', 'postgresql.bin_dir'],
    ],
    ['another config_dir', `${BASE}  config_dir: /etc/pg\n`, ['postgresql.config_dir']],
    ['another pgpass', `${BASE}  pgpass: /p\n`, ['postgresql.pgpass']],
    ['another watchdog', `${BASE}watchdog: {device: /dev/w, mode: required}\n`, ['watchdog.device', 'watchdog.mode']],
    ['the other name of the section', BASE.replace("etcd3: {hosts: '127.0.0.1:2379'", "etcd: {hosts: 'h'"), ['etcd3.hosts', 'etcd.hosts']],
  ])('%s: the rest is taken over, and the key is named as the file has it', (_, text, waiting) => {
    const settings = sourceThen(`${text}${MORE}`);
    const before = settings.local();
    expect(settings.previewReload?.()).toEqual({ refusal: null, waiting: expect.arrayContaining(waiting) });
    expect(settings.previewReload?.()?.waiting).toHaveLength(waiting.length);
    expect(log.lines).toEqual([]);
    expect(settings.reload()).toBe('changed');
    const { tags, ...rest } = settings.local();
    expect(tags).toEqual({ zone: 'b' });
    expect(rest).toEqual({ ...before, tags: undefined });
    expect(settings.current().local).toBe(settings.local());
    const said = `warning not in force before the agent is restarted: ${settings.previewReload?.()?.waiting.join(', ')}`;
    expect(log.lines.filter((line) => !/^warning .*(version 2|cannot be reached)/.test(line))).toEqual([
      expect.stringMatching(/^info configuration read again from .*p\.yml: tags\.zone changed$/),
      said,
    ]);
    // A second reload of the same file has nothing new, and what waits still waits.
    expect(settings.reload()).toBe('same');
    expect(log.lines.at(-1)).toBe(said);
  });

  it('takes over the login of etcd where only that changed', () => {
    const settings = sourceThen(BASE.replace("2379'}", "2379', username: u, password: p}"));
    expect(settings.reload()).toBe('changed');
    expect(settings.local().etcd).toMatchObject({ username: 'u', password: 'p' });
  });

  it('keeps what PostgreSQL runs with while the new data directory waits', () => {
    const settings = sourceThen(BASE.replace('/data/a', '/data/b\n  parameters: {work_mem: 9MB}'));
    expect(settings.reload()).toBe('same');
    expect(settings.current().parameters).not.toHaveProperty('work_mem');
    expect(settings.current().postgresql.dataDir).toBe('/data/a');
  });
});

test('the settings in force are saved in the background, and again over those that a copy of the data brought along', async () => {
  const path = write(BASE);
  const dataDir = dirname(path);
  writeFileSync(path, BASE.replace('/data/a', dataDir));
  const settings = createSettingsSource({ path, env: {}, loaded: loadLocal({ path, env: {} }), log });
  settings.adopt({ data: { ttl: 40 }, modRevision: '1' });
  settings.save();
  // The disk may hang: nobody has waited for it.
  expect(readDynamicCache(dataDir)).toBeNull();
  await vi.waitFor(() => expect(readDynamicCache(dataDir)).toEqual({ ttl: 40 }));
  await writeDynamicCache(dataDir, { ttl: 99 });
  settings.adopt({ data: { ttl: 41 }, modRevision: '2' });
  settings.save();
  settings.adopt({ data: { ttl: 42 }, modRevision: '3' });
  settings.save();
  await vi.waitFor(() => expect(readDynamicCache(dataDir)).toEqual({ ttl: 42 }));
});

test('a standby cluster that is refused is not in force, with all that hangs on it, and stays what etcd says', async () => {
  const path = write(BASE);
  const dataDir = dirname(path);
  writeFileSync(path, BASE.replace('/data/a', dataDir));
  const settings = createSettingsSource({ path, env: {}, loaded: loadLocal({ path, env: {} }), log });
  const data = { synchronous_mode: 'quorum', standby_cluster: { host: 'h' } };
  const inForce = () => {
    const { standbyCluster, synchronousMode } = settings.current().dynamic;
    return [standbyCluster === null, synchronousMode];
  };
  settings.adopt({ data, modRevision: '1' }, true);
  expect(inForce()).toEqual([true, 'quorum']);
  expect(settings.preview({ data, modRevision: '1' }).dynamic.standbyCluster?.endpoints).toEqual([{ host: 'h', port: 5432 }]);
  expect(inForce()).toEqual([true, 'quorum']);
  settings.save();
  await vi.waitFor(() => expect(readDynamicCache(dataDir)).toEqual(data));
  expect([settings.adopt({ data, modRevision: '1' }, true), settings.adopt({ data, modRevision: '1' })]).toEqual([false, true]);
  expect(inForce()).toEqual([false, 'off']);
});

describe('findings about the dynamic configuration', () => {
  const key = (data: JsonObject, modRevision: string): ConfigKey => ({ data, modRevision });
  const sourceOf = (text: string) => {
    const path = write(text);
    const loaded = loadLocal({ path, env: {} });
    for (const warning of loaded.warnings) log.warning(formatProblem(warning));
    return createSettingsSource({ path, env: {}, loaded, log });
  };

  it('are logged once per start, for bootstrap.dcs or for the key that is made of it', () => {
    const settings = sourceOf(`${BASE}bootstrap: {dcs: {ttl: 10, loop_wait: 1, retry_timeout: 3}}\n`);
    settings.adopt(key({ ttl: 10, loop_wait: 1, retry_timeout: 3 }, '1'));
    expect(log.lines).toEqual([expect.stringMatching(/^warning .*bootstrap\.dcs\.ttl: 10 s: leadership ends/)]);
    settings.adopt(key({ ttl: 9, loop_wait: 1, retry_timeout: 3 }, '2'));
    expect(log.lines.at(-1)).toMatch(/^warning dynamic configuration: ttl: 9 s: leadership ends/);
  });

  it('name each setting in which a member differs, once', () => {
    const settings = sourceOf(
      `${BASE}  use_pg_rewind: false\n  parameters: {work_mem: 5MB, Shared_Buffers: 1GB, max_connections: 50, log_lock_waits: on}\n`,
    );
    log.lines.length = 0;
    const everywhere = { work_mem: '9MB', shared_buffers: '2GB', max_connections: 100, log_lock_waits: true };
    settings.adopt(key({ postgresql: { use_pg_rewind: true, parameters: everywhere } }, '1'));
    const said = (name: string, mine: string, theirs: string) =>
      expect.stringMatching(
        new RegExp(
          `^warning postgresql\\.${name}: '${mine}' of this member's own configuration counts, and not '${theirs}' of the cluster's; remove it from .*p\\.yml`,
        ),
      );
    expect(log.lines).toEqual([
      said('use_pg_rewind', 'false', 'true'),
      said('parameters\\.work_mem', '5MB', '9MB'),
      said('parameters\\.shared_buffers', '1GB', '2GB'),
    ]);
    settings.adopt(key({ ttl: 31, postgresql: { use_pg_rewind: true, parameters: everywhere } }, '2'));
    expect(log.lines).toHaveLength(3);
    expect(settings.current().parameters).toMatchObject({ work_mem: '5MB', shared_buffers: '1GB' });
  });
});
