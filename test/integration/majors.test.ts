/**
 * The life of a cluster on every PostgreSQL major that is supported: founded, cloned, switched
 * over, crashed, rewound, reinitialized, made synchronous. One cluster of two nodes a major.
 */
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresPrograms, postgresOf } from '../../tools/suite/releases/find.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { startEtcd } from './support/etcd.ts';
import { mendAfterFailure } from './support/mend.ts';

const MAJORS = [13, 14, 15, 16, 17, 18];

/** Parameters that some majors only know: a value, and the first and the last of them. */
const KNOWN_TO: Readonly<Record<string, readonly [value: string, from: number, to: number]>> = {
  operator_precedence_warning: ['on', 13, 13],
  stats_temp_directory: ['pg_stat_tmp', 13, 14],
  vacuum_defer_cleanup_age: ['3', 13, 15],
  old_snapshot_threshold: ['-1', 13, 16],
  recovery_init_sync_method: ['fsync', 14, 18],
  archive_library: ['', 15, 18],
  vacuum_buffer_usage_limit: ['1MB', 16, 18],
  summarize_wal: ['on', 17, 18],
  io_workers: ['2', 18, 18],
};
const PARAMETERS = Object.fromEntries(Object.entries(KNOWN_TO).map(([name, [value]]) => [name, value]));

const FEED = `select from pg_replication_slots where slot_name = 'feed'`;

/** Before 14 passwords are stored as MD5 by default, which SCRAM cannot use. */
const MD5_HBA = ['local all all md5', 'host all all 127.0.0.1/16 md5', 'host replication replicator 127.0.0.1/16 md5'];

for (const major of MAJORS) {
  const programs = postgresOf(major);
  if ('missing' in programs) test(`PostgreSQL ${major}`, (context) => context.skip(programs.missing));
  else describe(`PostgreSQL ${major}`, () => lifeOf(major, programs));
}

/** Tells a data directory from another that took its place; a rewound one stays the same. */
const birthOf = (node: ClusterNode) => statSync(node.dataDir, { bigint: true }).birthtimeNs;

function lifeOf(major: number, { binDir, lacks }: PostgresPrograms): void {
  const rewinds = !lacks.includes('pg_rewind');
  let cluster: Cluster;
  let leader: ClusterNode;
  let other: ClusterNode;

  const healthy = async () => {
    leader = cluster.node(await cluster.waitHealthy());
    other = cluster.others(leader.name)[0]!;
  };
  const has = (node: ClusterNode, row: number) =>
    cluster.until(`${node.name} has row ${row}`, 30_000, async () => (await node.sql(`select from writes where id = ${row}`)).length === 1);

  beforeAll(async () => {
    cluster = await startCluster({
      nodes: 2,
      etcd: await startEtcd({ members: 1 }),
      local: () => ({ postgresql: { bin_dir: binDir, ...(major < 14 ? { pg_hba: MD5_HBA } : {}) } }),
      dynamic: {
        synchronous_mode: null,
        primary_start_timeout: 0,
        slots: { spare: { type: 'physical' } },
        postgresql: { remove_data_directory_on_diverged_timelines: !rewinds, parameters: { ...PARAMETERS, wal_level: 'logical' } },
      },
    });
    await healthy();
  });
  afterAll(async () => {
    await cluster?.close();
    await cluster?.etcd.close();
  });
  mendAfterFailure(() => cluster);

  test('is founded and cloned; parameters that it does not know keep nobody from starting', async () => {
    const { body } = await leader.answer('/patroni');
    expect(Math.floor(Number(body?.['server_version']) / 10_000)).toBe(major);
    for (const node of cluster.nodes) {
      const rows = await node.sql<{ name: string }>(`select name from pg_settings where source = 'configuration file'`);
      const filed = new Set(rows.map(({ name }) => name));
      const known = Object.entries(KNOWN_TO).filter(([, [, from, to]]) => from <= major && major <= to);
      expect(Object.keys(KNOWN_TO).filter((name) => filed.has(name))).toEqual(known.map(([name]) => name));
      expect((await node.answer('/patroni')).body?.['pending_restart']).toBeUndefined();
    }
  });

  test('is switched over', async () => {
    const candidate = other.name;
    const { code, stdout } = await cluster.ctl(['switchover', cluster.scope, '--candidate', candidate, '--force']);
    expect(stdout).toContain(`Successfully switched over to "${candidate}"`);
    expect(code).toBe(0);
    await healthy();
    expect(leader.name).toBe(candidate);
  });

  test(`after a crash with WAL that nobody else has, the former primary is ${rewinds ? 'rewound' : 'cloned'}`, async () => {
    const old = leader;
    const [sender] = await old.sql<{ pid: number }>('select pid from pg_stat_replication');
    await old.freezePart(sender!.pid);
    await old.sql('insert into writes values (-1)');
    const birth = birthOf(old);
    // Its agent hands over at once.
    await old.killPostmaster();
    process.kill(sender!.pid, 'SIGKILL');
    await cluster.waitForLeader({ not: old.name });
    await other.sql('insert into writes values (-2)');
    await healthy();
    expect(other).toBe(old);
    await has(old, -2);
    expect(await old.sql('select from writes where id = -1')).toEqual([]);
    expect(birthOf(old) === birth).toBe(rewinds);
    expect(old.log()).toContain(rewinds ? `running pg_rewind from ${leader.name}` : 'reinitializing due to diverged timelines');
  });

  test('is reinitialized', async () => {
    const birth = birthOf(other);
    const { code, stdout } = await cluster.ctl(['reinit', cluster.scope, other.name, '--force', '--wait'], 120_000);
    expect(stdout).toContain(`Reinitialize is completed on: ${other.name}`);
    expect(code).toBe(0);
    await healthy();
    expect(birthOf(other)).not.toBe(birth);
  });

  test('a setting is reloaded, another restarted for; the replica takes over a limit of the primary by itself', async () => {
    await cluster.configure({ postgresql: { parameters: { work_mem: '5MB', max_connections: 60 } } });
    const shown = (name: string) =>
      Promise.all(cluster.nodes.map(async (node) => (await node.sql(`show ${name}`).catch(() => []))[0]?.[name]));
    await cluster.until('work_mem is taken over', 30_000, async () => new Set(await shown('work_mem')).has('5MB'));
    await cluster.until('both wait for a restart', 30_000, async () => {
      const bodies = await Promise.all(cluster.nodes.map((node) => node.rest('/patroni')));
      return bodies.every((answer) => answer?.body?.['pending_restart'] === true);
    });
    const { code } = await cluster.ctl(['restart', cluster.scope, leader.name, '--force'], 90_000);
    expect(code).toBe(0);
    // 13 ends when it reads in the WAL that the primary has more; later majors pause replay.
    await cluster.until('both have it', 60_000, async () => (await shown('max_connections')).join() === '60,60');
    await healthy();
  });

  test('in a synchronous cluster no acknowledged write is lost with the primary, nor a logical slot', async () => {
    await cluster.configure({
      synchronous_mode: true,
      slots: { feed: { type: 'logical', database: 'postgres', plugin: 'test_decoding' } },
    });
    await cluster.until('both nodes have the slot', 60_000, async () => {
      const found = await Promise.all(cluster.nodes.map((node) => node.sql(FEED).catch(() => [])));
      return found.every((rows) => rows.length === 1);
    });
    await healthy();
    const old = leader;
    const writer = cluster.writer();
    await cluster.until('rows are written', 30_000, () => writer.acks.length > 20);
    await old.killAll();
    await cluster.waitForLeader({ not: old.name });
    old.start();
    await healthy();
    expect(leader).not.toBe(old);
    await cluster.verify(writer);
    const fed = await leader.sql<{ data: string }>(`select data from pg_logical_slot_get_changes('feed', null, null)`);
    expect(fed.map(({ data }) => data).join()).toContain(`id[bigint]:${writer.acks.at(-1)!.id}`);
  });

  test('keeps its slots: that of the other member and the permanent one, on both nodes', async () => {
    for (const node of cluster.nodes) {
      const wanted = [...(node === leader ? [`${other.name} true`] : []), 'spare false'];
      await cluster.eventually(`${node.name} has ${wanted.join(', ')}`, 30_000, async () => {
        const rows = await node.sql<{ slot_name: string; active: boolean }>('select slot_name, active from pg_replication_slots');
        const slots = rows.map((slot) => `${slot.slot_name} ${slot.active}`);
        return wanted.every((slot) => slots.includes(slot)) ? { value: true } : { missing: slots.join(', ') };
      });
    }
  });

  if (major === 17) {
    test('a failover slot that PostgreSQL synchronizes moves with the lead', async () => {
      await cluster.configure({ postgresql: { parameters: { sync_replication_slots: 'on', hot_standby_feedback: 'on' } } });
      await leader.sql(`select pg_create_logical_replication_slot('moves', 'test_decoding', false, false, true)`);
      const changes = async () => {
        const rows = await leader.sql<{ data: string }>(`select data from pg_logical_slot_get_changes('moves', null, null)`);
        return rows.map(({ data }) => data).join();
      };
      // PostgreSQL keeps it for good once the slot of the leader has come as far as the standby's.
      const synchronized = () =>
        cluster.eventually(`${other.name} has the slot`, 60_000, async () => {
          await leader.sql('select pg_log_standby_snapshot()');
          await changes();
          const [slot] = await other.sql(`select failover, synced, temporary from pg_replication_slots where slot_name = 'moves'`);
          return slot?.['synced'] === true && slot['temporary'] === false ? { value: true } : { missing: JSON.stringify(slot) };
        });
      await synchronized();
      const { stdout } = await cluster.ctl(['switchover', cluster.scope, '--candidate', other.name, '--force']);
      expect(stdout).toContain('Successfully switched over');
      await healthy();
      await leader.sql('insert into writes values (-3)');
      expect(await changes()).toContain('id[bigint]:-3');
      await synchronized();
    });
  }
}
