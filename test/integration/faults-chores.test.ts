/**
 * Files that cannot be replaced, slots that cannot be made, disks that are full: what fails stops
 * nothing else.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/support/errors.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { Mounts, whyNoMounts } from './support/mounts.ts';
import { PATIENT } from './support/siege.ts';

const obstacle = whyNoMounts();
const PG_HBA = [
  'local all all scram-sha-256',
  'host all all 127.0.0.1/16 scram-sha-256',
  'host replication replicator 127.0.0.1/16 scram-sha-256',
];

let cluster: Cluster | null = null;
let mounts = new Mounts();
const scratch: string[] = [];
afterEach(async () => {
  const nodes = cluster?.nodes ?? [];
  await Promise.all(nodes.map((node) => node.killAll()));
  mounts.remove();
  mounts = new Mounts();
  await cluster?.close();
  cluster = null;
  for (const path of scratch.splice(0)) rmSync(path, { recursive: true, force: true });
});

const problems = async (of: Cluster) => {
  const { stdout } = await of.ctl(['health', '--no-haproxy', '-f', 'json']);
  return (JSON.parse(stdout).problems as Array<{ message: string }>).map(({ message }) => message).join('\n');
};
const standbys = async (of: Cluster) => (JSON.parse((await of.key('sync')) ?? '{}') as { sync_standby?: string }).sync_standby ?? '';

describe.skipIf(obstacle !== null)('chores that fail', () => {
  test('full slots and a mounted pg_hba.conf stop no synchronous set, failover or callback', async () => {
    const scripts = mkdtempSync(join(tmpdir(), 'regent-scripts-'));
    chmodSync(scripts, 0o777);
    scratch.push(scripts);
    const told = (name: string) => (existsSync(join(scripts, name)) ? readFileSync(join(scripts, name), 'utf8') : '');
    cluster = await startCluster({
      dynamic: {
        ttl: 5,
        ignore_slots: [{ name: 'mine_1' }, { name: 'mine_2' }],
        postgresql: { pg_hba: PG_HBA, parameters: { max_replication_slots: 4 } },
      },
      local: (name) => ({ postgresql: { pg_hba: null, callbacks: { on_role_change: `${join(scripts, 'tell')} ${join(scripts, name)}` } } }),
    });
    const old = cluster.node(await cluster.waitHealthy());
    await old.sql("select pg_create_physical_replication_slot(n) from unnest('{mine_1,mine_2}'::text[]) n");
    for (const node of cluster.nodes) mounts.nail(join(node.dataDir, 'pg_hba.conf'));
    await cluster.configure({ slots: { extra: { type: 'physical' } }, postgresql: { pg_hba: ['# changed', ...PG_HBA] } });
    await cluster.until('health tells of the slots and the file', 40_000, async () => {
      const said = await problems(cluster!);
      return said.includes(`${old.name}: replication slots: `) && said.includes('could not write') && said.includes('configuration files');
    });

    const lost = cluster.others(old.name)[0]!;
    const writer = cluster.writer(PATIENT);
    await writer.next();
    await lost.killAll();
    await cluster.until('the set has moved', 30_000, async () => !(await standbys(cluster!)).includes(lost.name));
    await writer.next();
    expect(writer.errors).toEqual([]);
    lost.start();
    await cluster.until('it is back in the set', 30_000, async () => (await standbys(cluster!)).includes(lost.name));

    await old.killAll();
    const leader = cluster.node(await cluster.waitForLeader({ not: old.name }));
    await writer.ack('on the successor', 40_000, (ack) => ack.node === leader.name);
    // Its script is not there yet: the callback is asked for until it has started, and once.
    await cluster.until('the log tells of the callback', 30_000, () =>
      /on_role_change for role primary could not be started/.test(leader.log()),
    );
    writeFileSync(join(scripts, 'tell'), '#!/bin/sh\necho "$2 $3" >> "$1"\n', { mode: 0o755 });
    await cluster.until('the callback was told', 60_000, () => told(leader.name).includes('on_role_change primary'));
    await cluster.verify(writer);
    expect(told(leader.name)).toBe('on_role_change primary\n');
    // When it begins, and not in every one of dozens of rounds.
    expect(leader.log().match(/configuration files: could not write/g)?.length ?? 0).toBeLessThan(4);
  });

  test('a standby with a full disk votes, does not take the key, says why, and comes back once there is room', async () => {
    cluster = await startCluster({ start: false, dynamic: { ttl: 5 } });
    for (const node of cluster.nodes.slice(1)) {
      const { directory, owner } = node.place;
      const file = join(directory, 'patroni.yml');
      const text = readFileSync(file);
      mounts.smallDisk(directory, 320 * 1024 * 1024, owner);
      writeFileSync(file, text, { mode: 0o600 });
      chownSync(file, owner.uid, owner.gid);
    }
    // Where there is room is the leader: the first to start makes the cluster.
    const [old, ...others] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
    old.start();
    await cluster.until('the first leads', 90_000, async () => (await cluster!.leader()) === old.name);
    for (const node of others) node.start();
    await cluster.waitHealthy(90_000);
    await old.sql('create table writes (id bigint primary key)');
    const writer = cluster.writer();
    await writer.next();
    await writer.stop();
    const [full, successor] = others;
    const heap = join(full.place.directory, 'heap');
    fill(heap);
    await cluster.until('health tells of the disk', 40_000, async () =>
      (await problems(cluster!)).includes(`${full.name} cannot be promoted: `),
    );

    const killedAtMs = performance.now();
    await old.killAll();
    // What the agent says lies on the disk that is full: etcd tells who had the key.
    const holders = new Set<string>();
    const leader = await cluster.eventually('a leader', 60_000, async () => {
      const now = await cluster!.leader();
      const holder = await cluster!.key('leader');
      if (holder !== null) holders.add(holder);
      return now !== null && now !== old.name
        ? { value: now }
        : { missing: `the key is ${holder}, ${JSON.stringify((await full.rest('/patroni'))?.body)}` };
    });
    expect(leader).toBe(successor.name);
    console.log(`leader killed, the other voter's disk full, ttl 5: ${Math.round(performance.now() - killedAtMs)} ms without a leader`);
    expect([...holders].sort()).toEqual([old.name, successor.name].sort());
    rmSync(heap);
    old.start();
    expect(await cluster.waitHealthy(60_000)).toBe(successor.name);
    await writer.verifyOn(successor);
    await cluster.until('health finds room again', 40_000, async () => !(await problems(cluster!)).includes('cannot be promoted'));
  });
});

/** Until there is no byte left. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let size = 1 << 20; size >= 1; size >>= 2) {
      try {
        for (;;) writeSync(file, Buffer.alloc(size));
      } catch (error) {
        if (codeOf(error) !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(file);
  }
}
