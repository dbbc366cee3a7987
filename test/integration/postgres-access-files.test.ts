/**
 * Access rules with mistakes, and files that are mounted, on a real server whose configuration lies
 * in a directory of its own.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServerRole } from '../../src/core/effects.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { postgresOwner } from './support/bare-postgres.ts';
import { Mounts, whyNoMounts } from './support/mounts.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, foundCluster, recordingLog, settingsFor, sql, temporaryHome } from './support/postgres.ts';

const BOUND = { timeoutMs: 60_000 };
const mountable = whyNoMounts() === null;
const mounts = new Mounts();
const log = recordingLog();
const told = (text: string) => log.lines.filter((line) => line.includes(text));

let home: Awaited<ReturnType<typeof temporaryHome>>;
let primary: Settings;
let leader: Postgres;

beforeAll(async () => {
  home = await temporaryHome();
  const configDir = join(home.path, 'etc');
  mkdirSync(configDir);
  const { uid, gid } = postgresOwner();
  await chown(configDir, uid, gid);
  primary = settingsFor({ home: home.path, name: 'pg-1', port: await freePort(), postgresql: { configDir } });
  leader = adapterFor(primary, log);
  await foundCluster(leader);
});
afterAll(async () => {
  mounts.remove();
  await leader?.close();
  await home.remove();
});

const PRIMARY: ServerRole = { kind: 'primary' };
const inForce = async (user: string) =>
  (await sql(primary, `SELECT FROM pg_hba_file_rules WHERE '${user}' = ANY (user_name)`)).length === 1;
const withRules = (...lines: readonly string[]): Settings => ({
  ...primary,
  postgresql: { ...primary.postgresql, pgHba: [...(primary.postgresql.pgHba ?? []), ...lines] },
});
const apply = async (settings: Settings) => {
  leader.configure(settings);
  return (await leader.apply(PRIMARY, BOUND)).notWritten;
};
const restart = async () => {
  await leader.stop('fast', BOUND);
  return (await leader.start(PRIMARY, BOUND)).notWritten;
};
test('rules with a mistake are reported and do not stay on disk: the server restarts on the rules before', async () => {
  expect(await apply(withRules('host all early 10.0.0.0/8 reject'))).toEqual([]);
  expect(await apply(withRules('hots all late 10.0.0.0/8 reject', 'host all late 10.0.0.0/99 reject'))).toEqual([
    expect.stringMatching(/pg_hba\.conf: PostgreSQL cannot read .*: line \d+: invalid connection type "hots"; line \d+: invalid CIDR mask/),
  ]);
  expect(await inForce('early')).toBe(true);
  const ident = withRules('host all early 10.0.0.0/8 reject');
  expect(await apply({ ...ident, postgresql: { ...ident.postgresql, pgIdent: ['map /( x'] } })).toEqual([
    expect.stringContaining('postgresql.pg_ident says, and the file is left as it was'),
  ]);
  const nobody = { ...primary, postgresql: { ...primary.postgresql, pgHba: ['# nobody'] } };
  expect(await apply(nobody)).toEqual([expect.stringMatching(/pg_hba\.conf: PostgreSQL cannot read .*: it has no rule/)]);
  expect(await apply(ident)).toEqual([]);
  expect(await restart()).toEqual([]);
  expect(await inForce('early')).toBe(true);
});

test('rules that reach the disk unchecked do not keep the server down', async () => {
  await leader.stop('fast', BOUND);
  leader.configure(withRules('hots all late 10.0.0.0/8 reject'));
  expect((await leader.start(PRIMARY, BOUND)).notWritten).toEqual([expect.stringContaining('invalid connection type "hots"')]);
  expect(await inForce('early')).toBe(true);
  // The running server tells the line, as for any other change.
  expect(await apply(withRules('hots all late 10.0.0.0/8 reject'))).toEqual([expect.stringContaining('PostgreSQL cannot read')]);
  expect(await inForce('early')).toBe(true);
});

test('a file of the operator’s own with a mistake is reported by the running server, and does not keep it down', async () => {
  const file = join(primary.postgresql.configDir, 'pg_hba.conf');
  const own = { ...primary, postgresql: { ...primary.postgresql, pgHba: null } };
  expect(await apply(own)).toEqual([]);
  writeFileSync(file, `${readFileSync(file, 'utf8')}hots all by-hand 10.0.0.0/8 reject\n`);
  expect(await apply(own)).toEqual([expect.stringMatching(/pg_hba\.conf has a mistake, .*: line \d+: invalid connection type "hots"/)]);
  expect(await restart()).toEqual([expect.stringMatching(/invalid connection type "hots"; the file is kept as .*pg_hba\.conf\.refused/)]);
  expect(await inForce('early')).toBe(true);
  expect(readFileSync(`${file}.refused`, 'utf8')).toContain('hots all by-hand');
  expect(await apply(own)).toEqual([expect.stringContaining('pg_hba.conf.refused')]);
});

test.skipIf(!mountable)('rules and settings in files that are mounted are written in place, and taken up', async () => {
  const { configDir } = primary.postgresql;
  const hba = join(configDir, 'pg_hba.conf');
  for (const name of ['pg_hba.conf', 'postgresql.conf']) mounts.bind(join(configDir, name));
  const before = readFileSync(hba, 'utf8');
  const settings = withRules('host all mounted 10.0.0.0/8 reject');
  expect(await apply({ ...settings, parameters: { ...settings.parameters, work_mem: '5MB' } })).toEqual([]);
  expect(await inForce('mounted')).toBe(true);
  expect(await sql(primary, 'SHOW work_mem')).toEqual([{ work_mem: '5MB' }]);
  expect(readFileSync(`${hba}.regent-old`, 'utf8')).toBe(before);
  expect(await apply(withRules('host all again 10.0.0.0/8 reject'))).toEqual([]);
  expect(await inForce('again')).toBe(true);
  expect(told(`${hba} cannot be replaced and was written in place`)).toHaveLength(1);
  // A mistake is undone there, too.
  expect(await apply(withRules('hots all late 10.0.0.0/8 reject'))).toHaveLength(1);
  expect(await inForce('again')).toBe(true);
});
