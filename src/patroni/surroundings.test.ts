/** What this host cannot answer is no reason for --validate-config to break off. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { surroundings } from './surroundings.ts';

const home = mkdtempSync(join(tmpdir(), 'regent-surroundings-'));
afterAll(() => rmSync(home, { recursive: true }));

it('a port of etcd that is none leaves it unreachable', async () => {
  const at = surroundings({ etcd3: { port: 'soon' } }, { ignoreListenPort: true });
  expect(await at.reachable('127.0.0.1')).toContain('127.0.0.1 is not reachable');
});

it('programs that cannot be run tell no version: another check names them', async () => {
  const [bin, data] = [join(home, 'bin'), join(home, 'data')];
  for (const path of [bin, join(data, 'global'), join(data, 'pg_wal')]) mkdirSync(path, { recursive: true });
  writeFileSync(join(bin, 'postgres'), '#!/no/such/interpreter\n');
  chmodSync(join(bin, 'postgres'), 0o755);
  writeFileSync(join(data, 'PG_VERSION'), '15\n');
  writeFileSync(join(data, 'global', 'pg_control'), '');
  const at = surroundings({ postgresql: { bin_dir: bin } }, { ignoreListenPort: true });
  expect(await at.dataDirectory(data)).toBeNull();
});
