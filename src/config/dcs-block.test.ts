import { appendFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import type { JsonObject } from '../support/json.ts';
import { loadLocal } from './load.ts';
import { createSettingsSource } from './source.ts';

const { write, told } = configFiles();
const TUTORIAL = `${BASE}dcs:\n  ttl: 30\n  loop_wait: 10\n  retry_timeout: 10\n  maximum_lag_on_failover: 1048576\n`;

function source(text: string) {
  const log = keptLog();
  const path = write(text);
  const settings = createSettingsSource({ path, env: {}, loaded: loadLocal({ path, env: {} }), log });
  return { settings, log, path, adopt: (data: JsonObject, modRevision: string) => settings.adopt({ data, modRevision }) };
}

it('makes the cluster, alone or beside bootstrap.dcs, which wins key by key', () => {
  expect(source(TUTORIAL).settings.bootstrapConfig()).toEqual({
    ttl: 30,
    loop_wait: 10,
    retry_timeout: 10,
    maximum_lag_on_failover: 1048576,
  });
  const both = `${TUTORIAL}  postgresql: {parameters: {max_connections: 50, work_mem: 8MB}}\nbootstrap: {dcs: {ttl: 60, loop_wait: 10, postgresql: {use_slots: true, parameters: {max_connections: 70}}}}\n`;
  expect(source(both).settings.bootstrapConfig()).toEqual({
    ttl: 60,
    loop_wait: 10,
    retry_timeout: 10,
    maximum_lag_on_failover: 1048576,
    postgresql: { use_slots: true, parameters: { max_connections: 70, work_mem: '8MB' } },
  });
  expect(told(both)).toEqual([
    expect.stringMatching(
      /^w p\.yml:12:1: dcs: 'dcs' does not belong here; taken as part of bootstrap\.dcs, except for ttl, postgresql\.parameters\.max_connections, given there; /,
    ),
  ]);
});

it('of the wrong kind is ignored as a whole', () => {
  expect(told(`${BASE}dcs: [ttl]\nbootstrap: {dcs: {ttl: 60}}\n`)).toEqual([
    expect.stringMatching(/ignored, because bootstrap\.dcs is given/),
  ]);
});

it('says once where the running cluster differs, and what to type', () => {
  const { adopt, log } = source(TUTORIAL);
  expect(log.lines).toEqual([]);
  // Not given is as good as given where the default is the same, and a text as good as a number.
  adopt({ ttl: 30, loop_wait: '10', retry_timeout: 10, postgresql: {} }, '1');
  expect(log.lines).toEqual([]);
  adopt({ ttl: 20, loop_wait: 5, retry_timeout: 5, postgresql: {} }, '2');
  const line =
    /^warning .*p\.yml:12:1: dcs: it counted when the cluster was made; the cluster now has ttl '20' instead of '30', loop_wait '5' instead of '10', retry_timeout '5' instead of '10'; to change the cluster, run: regentctl edit-config -s ttl=30 -s loop_wait=10 -s retry_timeout=10$/;
  expect(log.lines).toEqual([expect.stringMatching(line)]);
  adopt({ ttl: 20, loop_wait: 5, retry_timeout: 5, pause: true }, '3');
  expect(log.lines).toHaveLength(1);
  adopt({ ttl: 30, loop_wait: 10, retry_timeout: 10 }, '4');
  expect(log.lines).toHaveLength(1);
});

it('is looked at again after a reload', () => {
  const { settings, adopt, log, path } = source(BASE);
  adopt({ synchronous_mode: 'off' }, '1');
  appendFileSync(path, 'dcs:\n  synchronous_mode: quorum\n  postgresql: {parameters: {work_mem: 8 MB}}\n');
  settings.reload();
  expect(log.lines.filter((line) => line.includes('the cluster now has'))).toEqual([
    expect.stringMatching(
      /synchronous_mode 'off' instead of 'quorum', postgresql\.parameters\.work_mem not set instead of '8 MB'; .*: regentctl edit-config -s synchronous_mode=quorum -s 'postgresql\.parameters\.work_mem=8 MB'$/,
    ),
  ]);
});

it('counts only as far as bootstrap.dcs lets it', () => {
  const { adopt, log } = source(`${BASE}dcs: {ttl: 30}\nbootstrap: {dcs: {ttl: 60}}\n`);
  adopt({ ttl: 60 }, '1');
  expect(log.lines).toEqual([]);
});
