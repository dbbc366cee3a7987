/**
 * A postmaster that was killed and that nobody reaps: in a container whose first process is not an
 * init, and right after a kill anywhere.
 */
import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBinDir } from './support/bin-dir.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, eventually, foundCluster, settingsFor, temporaryHome } from './support/postgres.ts';

const QUICK = { timeoutMs: 10_000 };
const START = { timeoutMs: 30_000 };

let home: Awaited<ReturnType<typeof temporaryHome>>;
beforeAll(async () => {
  home = await temporaryHome();
});
afterAll(() => home.remove());

test('a start does not count an unreaped postmaster as alive', async () => {
  const settings = settingsFor({ home: home.path, name: 'unreaped', port: await freePort() });
  const adapter = adapterFor(settings);
  await foundCluster(adapter);
  await adapter.stop('fast', QUICK);
  // The shell becomes a sleep, which inherits the postmaster as its child and never waits for it.
  const { dataDir, configDir } = settings.postgresql;
  const command = `'${join(findBinDir(), 'postgres')}' -D '${dataDir}' --config-file='${join(configDir, 'postgresql.conf')}' >/dev/null 2>&1 & exec sleep 60`;
  const { uid, gid } = statSync(dataDir);
  const parent = spawn('/bin/sh', ['-c', command], { uid, gid, stdio: 'ignore' });
  try {
    const running = await eventually('it runs', 30_000, async () => {
      const facts = await adapter.observe(QUICK);
      return facts.state === 'running' ? facts : null;
    });
    const pid = running.postmaster!.pid;
    process.kill(pid, 'SIGKILL');
    await eventually('it is a zombie', 20_000, () => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
    await adapter.start({ kind: 'primary' }, START);
    expect((await adapter.observe(QUICK)).state).toBe('running');
  } finally {
    await adapter.stop('immediate', QUICK);
    await adapter.close();
    parent.kill('SIGKILL');
  }
});
