/**
 * Nodes without data, or with data that are no longer a prefix of the leader’s, and how they come
 * back: on IPv6 addresses, over TLS. Replication is asynchronous.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { type CommandLine, CommandLineWatch, commandLines } from './support/command-lines.ts';
import { changeLocal, configFile, editLocal } from './support/local-config.ts';
import { mendAfterFailure } from './support/mend.ts';
import { allKeys, filesWith, modeOf, SECRETS, TRACES } from './support/secrets.ts';
import { type ServerTls, serverTls } from './support/tls.ts';

let cluster: Cluster;
let watch: CommandLineWatch;
let tls: ServerTls;
/** It refuses a connection that sets its parameters as no superuser: the rewind user is none. */
const LOADED = { shared_preload_libraries: 'pg_stat_statements' };

beforeAll(async () => {
  tls = serverTls('::1');
  cluster = await startCluster({
    start: false,
    host: () => '[::1]',
    // A crashed primary hands over at once, so that nobody has to wait for its lease.
    dynamic: { synchronous_mode: null, primary_start_timeout: 0, postgresql: { parameters: { ...tls.parameters, ...LOADED } } },
    local: () => ({
      postgresql: {
        authentication: {
          superuser: { password: SECRETS.superuser, ...tls.client },
          replication: { password: SECRETS.replication, ...tls.client },
          rewind: { password: SECRETS.rewind, ...tls.client },
        },
        pg_hba: [...tls.pgHba],
      },
    }),
  });
  watch = new CommandLineWatch(cluster.root);
  for (const node of cluster.nodes) {
    node.superuserPassword = SECRETS.superuser;
    node.start();
  }
  await cluster.node(await cluster.waitHealthy(90_000, cluster.nodes)).sql('create table writes (id bigint primary key)');
});
afterAll(async () => {
  watch?.stop();
  await cluster?.close();
  tls?.remove();
});
afterEach(() => cluster.configure({ postgresql: { use_pg_rewind: true, remove_data_directory_on_diverged_timelines: null } }));
mendAfterFailure(() => cluster);

/** Tells a data directory from another that took its place; a rewound one stays the same. */
const birthOf = (node: ClusterNode) => statSync(node.dataDir, { bigint: true }).birthtimeNs;

const rowsOf = async (node: ClusterNode) => new Set((await node.sql<{ id: string }>('select id from writes')).map((row) => Number(row.id)));

let stranded = 0;

/**
 * Lets the leader commit a row that no replica receives, and crashes it: its whole node, or
 * PostgreSQL alone. Resolves to it and the row.
 */
async function diverge(what: 'node' | 'postgres'): Promise<{ readonly old: ClusterNode; readonly row: number }> {
  const old = cluster.node(await cluster.waitHealthy());
  const senders = await old.sql<{ pid: number }>('select pid from pg_stat_replication');
  expect(senders).toHaveLength(2);
  for (const { pid } of senders) await old.freezePart(pid);
  const row = ++stranded;
  await old.sql(`insert into writes values (${row})`);
  if (what === 'node') await old.killAll();
  else {
    await old.killPostmaster();
    for (const { pid } of senders) process.kill(pid, 'SIGKILL');
  }
  return { old, row };
}

/** Looks without a pause until there is something, because it lasts only a moment. */
async function caught<T>(look: () => readonly T[]): Promise<readonly T[]> {
  for (const end = performance.now() + 15_000; ; ) {
    const found = look();
    if (found.length > 0) return found;
    if (performance.now() > end) throw new Error(`nothing was caught within 15 s\n${await cluster.describe()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('an old primary with WAL that no other member has', () => {
  test('is rewound and follows', async () => {
    const { old, row } = await diverge('node');
    const birth = birthOf(old);
    const successor = await cluster.waitForLeader({ not: old.name });
    await cluster.node(successor).sql('insert into writes values (-1)');
    old.start();
    expect(await cluster.waitHealthy()).toBe(successor);
    expect(old.log()).toContain(`running pg_rewind from ${successor}`);
    expect(birthOf(old)).toBe(birth);
    await cluster.until('it replays', 20_000, async () => (await rowsOf(old)).has(-1));
    expect((await rowsOf(old)).has(row)).toBe(false);
  });

  test('is rewound again when the agent was killed in the middle of it', async () => {
    const { old, row } = await diverge('postgres');
    const rewinding = () => commandLines(old.place.directory).filter(({ line }) => /^\S*pg_rewind /.test(line));
    // One that has just ended cannot be stopped any more.
    const stops = ({ pid }: CommandLine) => {
      try {
        return process.kill(pid, 'SIGSTOP');
      } catch {
        return false;
      }
    };
    await caught(() => rewinding().filter(stops));
    await old.killAgent();
    const again = old.log().length;
    old.start();
    await cluster.waitHealthy();
    expect(rewinding()).toEqual([]);
    expect(old.log().slice(again)).toContain('running pg_rewind');
    expect((await rowsOf(old)).has(row)).toBe(false);
  });

  test('waits for the operator when it may not be rewound, and regentctl reinit heals it', async () => {
    await cluster.configure({ postgresql: { use_pg_rewind: false } });
    const { old, row } = await diverge('postgres');
    const successor = await cluster.waitForLeader({ not: old.name });
    const mend = `run: regentctl reinit ${cluster.scope} ${old.name}`;
    const why = /the data of this node diverged from node\d and pg_rewind is not possible/;
    await cluster.until('it says why, and what to do', 30_000, () => old.log().includes(mend) && why.test(old.log()));
    await cluster.until('nobody can read what nobody else has', 20_000, () => old.postmasterPid === null);
    await cluster.until('load balancers know', 20_000, async () => (await old.rest('/replica'))?.status === 503);
    const birth = birthOf(old);
    const { code, stdout } = await cluster.ctl(['reinit', cluster.scope, old.name, '--force']);
    expect(stdout).toContain(`Success: reinitialize for member ${old.name}`);
    expect(code).toBe(0);
    expect(await cluster.waitHealthy()).toBe(successor);
    expect(birthOf(old)).not.toBe(birth);
    expect((await rowsOf(old)).has(row)).toBe(false);
  });

  test('is cloned by itself when the settings say so', async () => {
    await cluster.configure({ postgresql: { use_pg_rewind: false, remove_data_directory_on_diverged_timelines: true } });
    const { old, row } = await diverge('postgres');
    const birth = birthOf(old);
    const successor = await cluster.waitForLeader({ not: old.name });
    expect(await cluster.waitHealthy()).toBe(successor);
    expect(old.log()).toContain('reinitializing due to diverged timelines');
    expect(birthOf(old)).not.toBe(birth);
    expect((await rowsOf(old)).has(row)).toBe(false);
  });
});

describe('a replica', () => {
  test('is cloned again by regentctl reinit', async () => {
    const leader = await cluster.waitHealthy();
    const [replica] = cluster.others(leader) as [ClusterNode];
    const birth = birthOf(replica);
    const { code, stdout } = await cluster.ctl(['reinit', cluster.scope, replica.name, '--force', '--wait'], 120_000);
    expect(stdout).toContain(`Reinitialize is completed on: ${replica.name}`);
    expect(code).toBe(0);
    expect((await replica.answer('/patroni')).body).toMatchObject({
      regent: { reinitialize: { job: expect.any(String), state: 'done' } },
    });
    expect(await cluster.waitHealthy()).toBe(leader);
    expect(birthOf(replica)).not.toBe(birth);
  });

  test('with an interrupted clone begins again, and never leads before it is whole', async () => {
    const leader = cluster.node(await cluster.waitHealthy());
    const [replica, other] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
    // Slow enough to be met in the middle.
    changeLocal(replica, { postgresql: { basebackup: ['no-sync', { 'max-rate': '8M' }] } });
    const waiting = cluster.ctl(['reinit', cluster.scope, replica.name, '--force', '--wait'], 150_000);
    const copying = () => commandLines(replica.place.directory).some(({ line }) => line.includes('pg_basebackup'));
    await cluster.until('pg_basebackup is at work', 30_000, copying);
    await replica.killAgent();
    editLocal(replica, { postgresql: { basebackup: ['no-sync'] } });
    replica.start();
    await leader.killAll();
    expect(await cluster.waitForLeader({ not: leader.name })).toBe(other.name);
    leader.start();
    expect(await cluster.waitHealthy()).toBe(other.name);
    expect(replica.log()).toContain(`trying to bootstrap from leader '${other.name}'`);
    // Whole again, but nobody knows whether by the job that was asked for.
    const { code, stdout } = await waiting;
    expect([code, stdout]).toEqual([
      1,
      expect.stringContaining(`Reinitialize result unknown on: ${replica.name} (its agent has been restarted since`),
    ]);
  });
});

test('a reload makes PostgreSQL read its certificate again, although the agent’s file is the same', async () => {
  const node = cluster.node(await cluster.waitHealthy());
  expect(await tls.shown(node.place.postgresPort)).toBe(tls.current());
  tls.renew();
  expect(await tls.shown(node.place.postgresPort)).not.toBe(tls.current());
  await cluster.ctl(['reload', cluster.scope, '--force']);
  await cluster.until('the new certificate is shown', 20_000, async () => (await tls.shown(node.place.postgresPort)) === tls.current());
  await cluster.until('the log says that nothing else changed', 10_000, () => node.log().includes('No local configuration items changed.'));
});

describe('passwords, after all of this', () => {
  test('are only in the two files of the agent’s user that need them', () => {
    for (const node of cluster.nodes) {
      const pgpass = join(node.place.directory, 'pgpass');
      for (const path of filesWith(node.place.directory, TRACES)) expect([configFile(node), pgpass]).toContain(path);
      expect(modeOf(configFile(node))).toBe(0o600);
      expect(modeOf(pgpass)).toBe(0o600);
    }
  });

  test('are not in etcd', async () => {
    const keys = await allKeys(cluster.etcd);
    expect(keys.map(({ key }) => key)).toContain(`/service/${cluster.scope}/config`);
    for (const { key, value } of keys) for (const trace of TRACES) expect(value, key).not.toContain(trace);
  });

  test('are in no process that opens a debugger', async () => {
    const node = cluster.nodes[0]!;
    const logged = node.log().length;
    process.kill(node.agentPid!, 'SIGUSR1');
    // A signal after it, and what the agent says then.
    process.kill(node.agentPid!, 'SIGHUP');
    await cluster.until('it has read its configuration again', 20_000, () =>
      node.log().slice(logged).includes('No local configuration items changed.'),
    );
    expect(node.log().slice(logged)).not.toContain('Debugger');
  });

  test('never were on a command line', () => {
    watch.stop();
    const seen = [...watch.seen];
    for (const program of ['initdb', 'pg_basebackup', 'pg_rewind', 'guard']) expect(seen.some((line) => line.includes(program))).toBe(true);
    for (const line of seen) for (const trace of TRACES) expect(line).not.toContain(trace);
  });
});
