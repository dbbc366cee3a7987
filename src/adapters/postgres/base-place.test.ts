import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { ended } from '../../../test/support/ended.ts';
import { asOtherUser, canBeOtherUser, otherUser } from '../../../test/support/other-user.ts';
import type { Settings } from '../../core/settings.ts';
import { basePath } from './base-place.ts';
import { ConfWriter } from './conf-writer.ts';
import { provideConfigDir } from './config-dir.ts';
import { flattened } from './flatten.ts';

let home: string;
let settings: Settings;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-base-'));
  for (const name of ['etc', 'data']) mkdirSync(join(home, name));
  writeFileSync(join(home, 'data', 'PG_VERSION'), '15\n');
  settings = someSettings({
    postgresql: {
      dataDir: join(home, 'data'),
      configDir: join(home, 'etc'),
      pgpass: join(home, 'data', 'pgpass'),
      pgHba: ['local all all trust'],
    },
  });
});
afterEach(() => {
  chmodSync(join(home, 'etc'), 0o700);
  rmSync(home, { recursive: true, force: true });
});

const closed = async () => false;

test('the base file lies beside postgresql.conf where one is there, or can be made; else in the data directory', async () => {
  const [beside, within] = [join(home, 'etc', 'postgresql.base.conf'), join(home, 'data', 'postgresql.base.conf')];
  expect(await basePath(settings)).toBe(beside);
  expect(await basePath(settings, closed)).toBe(within);
  writeFileSync(beside, '');
  expect(await basePath(settings, closed)).toBe(beside);
});

test('a directory that does not exist yet will take files', async () => {
  rmSync(join(home, 'etc'), { recursive: true });
  expect(await basePath(settings)).toBe(join(home, 'etc', 'postgresql.base.conf'));
  mkdirSync(join(home, 'etc'));
});

/** For root no directory is closed. */
const asWhomItIsClosedTo = async (work: () => Promise<void>) => {
  if (!canBeOtherUser) return work();
  const ours = (path: string) => chownSync(path, otherUser.uid, otherUser.gid);
  for (const path of [
    home,
    join(home, 'data'),
    join(home, 'data/PG_VERSION'),
    ...readdirSync(join(home, 'etc')).map((name) => join(home, 'etc', name)),
  ])
    ours(path);
  return asOtherUser(work);
};

test('files that are ours in another user’s directory are written, and their former text stays in force', async () => {
  const etc = join(home, 'etc');
  writeFileSync(join(etc, 'more.conf'), 'work_mem = 5MB\n');
  writeFileSync(join(etc, 'postgresql.conf'), "include 'more.conf'\nlog_timezone = 'UTC'\n", { mode: 0o600 });
  writeFileSync(join(etc, 'pg_hba.conf'), '# theirs\n', { mode: 0o600 });
  writeFileSync(join(etc, 'pg_ident.conf'), '', { mode: 0o600 });
  chmodSync(etc, 0o555);
  await asWhomItIsClosedTo(async () => {
    const log = keptLog();
    const run = async () => ended();
    const writer = new ConfWriter({ run, log });
    const write = () => writer.writeServerFiles(settings, { kind: 'primary' }, null, 15, null);
    await provideConfigDir(settings, { log });
    expect(await write()).toMatchObject({ notWritten: [], ofRole: null, changed: true });
    const conf = readFileSync(join(etc, 'postgresql.conf'), 'utf8');
    expect(conf).toContain(`include '${home}/data/postgresql.base.conf'`);
    expect(await flattened(join(etc, 'postgresql.conf'))).toMatch(/work_mem = 5MB[\s\S]*log_timezone = 'UTC'/);
    expect(readFileSync(join(etc, 'pg_hba.conf'), 'utf8')).toContain('local all all trust');
    expect(readFileSync(join(home, 'data', 'pgsql_tmp.pg_hba.conf.before-regent'), 'utf8')).toBe('# theirs\n');
    expect(await write()).toMatchObject({ changed: false, notWritten: [], ofRole: null });
  });
});
