/**
 * Configuration files of the shape that other projects' templates make load without an error. Each
 * starts a node in test/integration/templates.test.ts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TEMPLATES, type Template, templateEnv, templateText } from '../../test/support/templates.ts';
import { examineLocal } from './load.ts';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-templates-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A place, and what is said of it. */
const WARNINGS: Readonly<Record<Template, readonly string[]>> = {
  spilo: [
    "restapi.listen: ':8008': no host before the port, which means every address",
    "postgresql.name: 'name' does not belong here; taken as name",
    "postgresql.create_replica_method: 'create_replica_method' does not belong here; taken as postgresql.create_replica_methods",
  ],
  autobase: [],
  pigsty: [],
  percona: [
    "bootstrap.users: unknown key 'users'",
    "postgresql.cluster_name: unknown key 'cluster_name'",
    "postgresql.watchdog: unknown key 'watchdog'",
  ],
  timescale: [
    "restapi.listen: ':8008': no host before the port, which means every address",
    'postgresql.recovery_conf.recovery_target_timeline: recovery_target_timeline is set by Regent itself; it is ignored',
  ],
  debian: ["postgresql.create_replica_method: 'create_replica_method' does not belong here; taken as postgresql.create_replica_methods"],
};

it.each(TEMPLATES)('%s: loads, with the warnings expected', (template) => {
  const values = { name: template, dir: '/srv/node', bin: '/usr/lib/postgresql/15/bin', pg: 5432, rest: 8008, etcd: '127.0.0.1:2379' };
  const path = join(home, `${template}.yml`);
  writeFileSync(path, templateText(template, values));
  const { local, problems } = examineLocal({ path, env: { HOME: home, ...templateEnv(template, values) } });
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  expect(local?.bootstrap).not.toBeNull();
  expect(local?.postgresql).toMatchObject({ port: 5432, connectHost: '127.0.0.1' });
  expect(problems.map(({ path: place, message }) => `${place}: ${message}`)).toEqual(WARNINGS[template]);
});
