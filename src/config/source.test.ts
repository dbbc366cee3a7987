import { writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, test } from 'vitest';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import { keptLog } from '../../test/fixtures/desk.ts';
import { loadLocal } from './load.ts';
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

describe('a file of which a part needs a restart of the agent', () => {
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

  it('takes the login of etcd over where only that changed', () => {
    const settings = sourceThen(BASE.replace("2379'}", "2379', username: u, password: p}"));
    expect(settings.reload()).toBe('changed');
    expect(settings.local().etcd).toMatchObject({ username: 'u', password: 'p' });
  });

  it('keeps what PostgreSQL runs with where the data directory waits', () => {
    const settings = sourceThen(BASE.replace('/data/a', '/data/b\n  parameters: {work_mem: 9MB}'));
    expect(settings.reload()).toBe('same');
    expect(settings.current().parameters).not.toHaveProperty('work_mem');
    expect(settings.current().postgresql.dataDir).toBe('/data/a');
  });
});
