/**
 * A server is recognized whatever its program is called. node1 runs a copy under another name,
 * node2 the target of the link `postgres`, node3 a program that a script runs in its place. An
 * unknown process in postmaster.pid does not mean a server that is down. One agent looks after one
 * directory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { DEBIAN_POSTGRES } from '../../tools/suite/releases/catalog.ts';
import { findBinDir } from './support/bin-dir.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { mendAfterFailure } from './support/mend.ts';
import { freePorts } from './support/ports.ts';
import { agentRestartsUnnoticed, besiege, PATIENT, undisturbed } from './support/siege.ts';

const TTL_SECONDS = 5;
let cluster: Cluster;
let programs: string;

/**
 * PostgreSQL's programs, with another server in the place of `postgres`. A copy looks for its
 * libraries and templates from where it lies: they are there, the same way up and down.
 */
function binDirOf(name: string): { readonly bin_dir: string; readonly bin_name?: { readonly postgres: string } } {
  const from = findBinDir();
  const root = from.slice(0, from.lastIndexOf(`/${DEBIAN_POSTGRES}/`) + '/usr'.length);
  const bin_dir = join(programs, name, relative(root, from));
  mkdirSync(bin_dir, { recursive: true, mode: 0o755 });
  symlinkSync(join(root, 'share'), join(programs, name, 'share'));
  symlinkSync(join(from, '..', 'lib'), join(bin_dir, '..', 'lib'));
  for (const program of readdirSync(from)) if (program !== 'postgres') symlinkSync(join(from, program), join(bin_dir, program));
  const copy = (as: string) => copyFileSync(join(from, 'postgres'), join(bin_dir, as));
  if (name === 'node1') {
    copy('edb-postgres');
    return { bin_dir, bin_name: { postgres: 'edb-postgres' } };
  }
  copy('server.bin');
  if (name === 'node2') symlinkSync('server.bin', join(bin_dir, 'postgres'));
  else writeFileSync(join(bin_dir, 'postgres'), `#!/bin/sh\nexec ${join(bin_dir, 'server.bin')} "$@"\n`, { mode: 0o755 });
  return { bin_dir };
}

beforeAll(async () => {
  programs = mkdtempSync(join(tmpdir(), 'regent-programs-'));
  chmodSync(programs, 0o755);
  cluster = await startCluster({
    dynamic: { ttl: TTL_SECONDS, synchronous_mode: null },
    local: (name) => ({ postgresql: binDirOf(name) }),
  });
});
afterAll(async () => {
  await cluster?.close();
  rmSync(programs, { recursive: true, force: true });
});
mendAfterFailure(() => cluster);

async function lead(name: string): Promise<ClusterNode> {
  const leader = await cluster.waitHealthy();
  if (leader !== name) {
    const { code, stdout, stderr } = await cluster.ctl(['switchover', cluster.scope, '--leader', leader, '--candidate', name, '--force']);
    if (code !== 0) throw new Error(`${stdout}${stderr}`);
  }
  expect(await cluster.waitHealthy()).toBe(name);
  return cluster.node(name);
}

test('a copy under another name, agent killed and started again: the server is recognized, goes on and stays the only one', async () => {
  const leader = await lead('node1');
  await agentRestartsUnnoticed(cluster, leader, TTL_SECONDS);
});

test.each(['node2', 'node3'])(
  'a link and a script (%s), agent frozen beyond its lease: the guard stops the server before another is primary',
  async (name) => {
    await lead(name);
    const siege = await besiege(cluster);
    const { old } = siege;
    await old.freezeAgent();
    try {
      await siege.successor();
      await cluster.until('its server has ended', 10_000, () => old.postmasterPid === null);
    } finally {
      old.thawAgent();
    }
    await siege.noOverlap();
  },
);

/** The same file with another name and other ports, as its owner. */
async function secondAgent(node: ClusterNode): Promise<{ readonly code: number | null; readonly said: string }> {
  const { command, directory, owner } = node.place;
  const file = join(directory, 'second.yml');
  const [rest, port] = await freePorts(2);
  const settings = parse(readFileSync(join(directory, 'patroni.yml'), 'utf8'));
  settings.name = 'second';
  Object.assign(settings.restapi, { listen: `127.0.0.1:${rest}`, connect_address: `127.0.0.1:${rest}` });
  Object.assign(settings.postgresql, { listen: `127.0.0.1:${port}`, connect_address: `127.0.0.1:${port}` });
  writeFileSync(file, stringify(settings), { mode: 0o600 });
  chownSync(file, owner.uid, owner.gid);
  const child: ChildProcess = spawn(command[0]!, [...command.slice(1, -1), file], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...owner,
  });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const late = setTimeout(() => child.kill('SIGKILL'), 50_000);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(late);
  rmSync(file);
  return { code, said };
}

test('a second agent on the directory of another is refused, while that one runs and while it is frozen, and touches nothing', async () => {
  // A frozen agent must be there for as long as a second one takes to start on a busy machine.
  await cluster.configure({ ttl: 60 });
  const leader = cluster.node(await cluster.waitHealthy());
  const pid = leader.postmasterPid;
  const writer = cluster.writer({ only: leader.name, ...PATIENT });
  await writer.next();
  const first = await secondAgent(leader);
  expect(first.code).toBe(1);
  expect(first.said).toContain(`another agent (pid ${leader.agentPid}) holds the data directory ${leader.dataDir}`);
  await leader.freezeAgent();
  const second = await secondAgent(leader).finally(() => leader.thawAgent());
  expect(second.said).toContain('holds the data directory');
  expect(second.code).toBe(1);
  expect(leader.postmasterPid).toBe(pid);
  await writer.next();
  await writer.stop();
  undisturbed(writer);
  expect(await cluster.waitHealthy()).toBe(leader.name);
});

test('an unknown process in postmaster.pid: the node does not start, says why, and comes back once it is gone', async () => {
  const leader = await cluster.waitHealthy();
  const [node] = cluster.others(leader);
  await node!.terminate();
  const unknown = spawn('sleep', ['300'], { cwd: node!.dataDir, stdio: 'ignore', ...node!.place.owner });
  await once(unknown, 'spawn');
  const file = join(node!.dataDir, 'postmaster.pid');
  const text = `${unknown.pid}\n${node!.dataDir}\n1\n${node!.place.postgresPort}\n`;
  try {
    writeFileSync(file, text, { mode: 0o600 });
    chownSync(file, node!.place.owner.uid, node!.place.owner.gid);
    node!.start();
    const why = `process ${unknown.pid} (sleep 300) is named in postmaster.pid and is not known`;
    await cluster.until('it says why', 40_000, () => node!.log().includes(why));
    await cluster.until('its agent says so', 20_000, async () => {
      const body = (await node!.rest('/patroni'))?.body;
      const { unexplained = '' } = (body?.['regent'] ?? {}) as { readonly unexplained?: string };
      return body?.['state'] === 'unknown' && unexplained.includes(why);
    });
    await cluster.until('list says so', 30_000, async () =>
      (await cluster.ctl(['list'])).stdout.includes(`${node!.name} is left as it is: ${why}`),
    );
    await cluster.eventually('health says so', 30_000, async () => {
      const { code, stdout } = await cluster.ctl(['health', '--no-haproxy']);
      const said = stdout.includes(`critical: ${node!.name} is left as it is: ${why}`);
      return code === 2 && said ? { value: true } : { missing: `${code}: ${stdout}` };
    });
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(unknown.exitCode ?? unknown.signalCode).toBeNull();
  } finally {
    unknown.kill('SIGKILL');
    await once(unknown, 'exit');
  }
  expect(await cluster.waitHealthy()).toBe(leader);
});
