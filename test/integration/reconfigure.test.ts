/** Settings changed while the cluster works, good and bad, under a client that writes. */
import { execFile } from 'node:child_process';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { CALL, closeOpened, open } from './support/etcd-client.ts';
import { changeLocal, configFile, editLocal, reload } from './support/local-config.ts';
import { mendAfterFailure } from './support/mend.ts';
import { PATIENT, undisturbed } from './support/siege.ts';
import type { Writer } from './support/writer.ts';

let cluster: Cluster;
beforeAll(async () => {
  // One password comes from the environment alone, which every reload has to take into account
  // again.
  cluster = await startCluster({
    local: () => ({ postgresql: { authentication: { replication: { password: null } } } }),
    command: (_name, regent) => ['env', 'PATRONI_REPLICATION_PASSWORD=replicator', ...regent],
  });
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

async function writing(): Promise<{ readonly leader: ClusterNode; readonly writer: Writer }> {
  const leader = cluster.node(await cluster.waitHealthy());
  const writer = cluster.writer(PATIENT);
  await writer.next();
  return { leader, writer };
}

async function edit(...words: readonly string[]): Promise<void> {
  const { code, stderr } = await cluster.ctl(['edit-config', cluster.scope, ...words, '--force']);
  expect(stderr.replace(/^Warning: .*\n/gm, '')).toBe('');
  expect(code).toBe(0);
}

const setting = async (node: ClusterNode, name: string) =>
  (await node.sql<{ value: string }>(`select current_setting('${name}') as value`))[0]!.value;

interface Row {
  readonly Member: string;
  readonly State: string;
  readonly Tags?: { readonly replicatefrom?: string };
  readonly 'Pending restart'?: string;
  readonly 'Pending restart reason'?: string;
}

async function list(): Promise<readonly Row[]> {
  const { stdout } = await cluster.ctl(['list', '-f', 'json', '-e']);
  return JSON.parse(stdout) as Row[];
}

describe('cluster-wide settings', () => {
  test('one that needs a restart is shown as pending on every member, and regentctl restart --pending applies it', async () => {
    const { leader, writer } = await writing();
    const running = cluster.nodes.map((node) => node.postmasterPid);
    await edit('-s', 'postgresql.parameters.max_connections=120');
    const pending = await cluster.eventually('every member says so', 20_000, async () => {
      const found = (await list()).filter((row) => row['Pending restart'] === '*');
      return found.length === 3 ? { value: found } : { missing: JSON.stringify(found) };
    });
    for (const row of pending) expect(row['Pending restart reason']).toBe('max_connections: 50->120');
    expect(cluster.nodes.map((node) => node.postmasterPid)).toEqual(running);
    const { code, stdout } = await cluster.ctl(['restart', cluster.scope, '--pending', '--force'], 90_000);
    for (const node of cluster.nodes) expect(stdout).toContain(`Success: restart on member ${node.name}`);
    expect(code).toBe(0);
    expect(await cluster.waitHealthy()).toBe(leader.name);
    for (const node of cluster.nodes) expect(await setting(node, 'max_connections')).toBe('120');
    await cluster.until('nothing is pending', 20_000, async () => (await list()).every((row) => !row['Pending restart']));
    await cluster.verify(writer);
    console.log(`restart of every member: no write acknowledged for ${Math.round(writer.longestGapMs())} ms`);
  });

  test('ttl takes effect at once, on the lease of the leader too, and costs no leadership', async () => {
    const { leader, writer } = await writing();
    const postmaster = leader.postmasterPid;
    const changedAtMs = performance.now();
    await edit('-s', 'ttl=8', '-s', 'loop_wait=2');
    await cluster.eventually('the leader key hangs on a lease of 8 s', 20_000, async () => {
      const seconds = await cluster.leaseSeconds();
      return seconds === 8 ? { value: seconds } : { missing: `its lease is of ${seconds} s` };
    });
    await writer.next();
    undisturbed(writer, changedAtMs);
    await edit('-s', 'ttl=6', '-s', 'loop_wait=1');
    expect(await cluster.waitHealthy()).toBe(leader.name);
    expect(leader.postmasterPid).toBe(postmaster);
    await cluster.verify(writer);
  });

  test('a bad value is refused with a sentence, and changes nothing', async () => {
    const { leader, writer } = await writing();
    const before = await cluster.key('config');
    const patched = await leader.rest('/config', { method: 'PATCH', body: { ttl: 'soon' } });
    expect(patched?.status).toBe(400);
    const edited = await cluster.ctl(['edit-config', cluster.scope, '-s', 'ttl=soon', '-s', 'synchronous_mode=perhaps', '--force']);
    expect(edited.code).toBe(1);
    expect(edited.stderr).toMatch(/ttl: .*soon/);
    expect(edited.stderr).toMatch(/synchronous_mode: .*perhaps/);
    const zero = await cluster.ctl(['edit-config', cluster.scope, '-s', 'ttl=0', '-s', 'loop_wait=-5', '--force']);
    expect([zero.code, zero.stderr]).toEqual([1, expect.stringMatching(/ttl: 0 is out of range.*\n.*loop_wait: -5 is out of range/)]);
    // What PostgreSQL alone can tell: its units, ranges and words, a name that nothing has, a check
    // function's view of time zones.
    const wrong = ['work_mem=8XB', 'checkpoint_timeout=2d', 'log_destination=moon', 'wrok_mem=8MB', 'TimeZone=Mars/Base'];
    const refused = await cluster.ctl(['edit-config', cluster.scope, ...wrong.flatMap((pair) => ['--pg', pair])]);
    expect(refused.code).toBe(1);
    for (const pair of wrong) expect(refused.stderr).toContain(`postgresql.parameters.${pair.split('=')[0]}: PostgreSQL refuses it: `);
    expect(refused.stderr).toContain('invalid value for parameter "work_mem": "8XB" (Valid units for this parameter are');
    const parameters = { work_mem: '8XB' };
    const byRest = await leader.rest('/config', { method: 'PATCH', body: { postgresql: { parameters } } });
    expect(byRest?.status).toBe(400);
    expect(await cluster.key('config')).toBe(before);
    const good = await leader.rest('/parameters', {
      method: 'POST',
      body: { work_mem: '8MB', 'any.thing': 'x', TimeZone: 'Europe/Bern' },
    });
    expect(Object.keys(good?.body?.['refused'] ?? {})).toEqual(['TimeZone']);
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });

  test('synchronous_mode: from quorum to off, to on, and back to quorum', async () => {
    const { leader, writer } = await writing();
    await edit('-s', 'synchronous_mode=off');
    await cluster.until('nobody has to confirm', 20_000, async () => (await setting(leader, 'synchronous_standby_names')) === '');
    await cluster.until('nobody counts as synchronous', 20_000, async () => (await cluster.key('sync')) === null);
    await edit('-s', 'synchronous_mode=on');
    const names = (wanted: RegExp) => async () => wanted.test(await setting(leader, 'synchronous_standby_names'));
    await cluster.until('one has to confirm', 20_000, names(/^node\d$/));
    await edit('-s', 'synchronous_mode=quorum');
    await cluster.until('either has to confirm', 20_000, names(/^ANY 1 \(node\d,node\d\)$/));
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
    undisturbed(writer);
  });
});

describe('settings of one node', () => {
  test('synchronous_standby_names among the parameters, as in the tutorial', async () => {
    const { leader, writer } = await writing();
    const chosen = cluster.others(leader.name)[0]!;
    await edit('-s', 'synchronous_mode=off');
    await cluster.until('nobody counts as synchronous', 20_000, async () => (await cluster.key('sync')) === null);
    for (const node of cluster.nodes)
      changeLocal(node, { postgresql: { parameters: { synchronous_commit: 'on', synchronous_standby_names: chosen.name } } });
    await cluster.eventually(`${chosen.name} confirms`, 20_000, async () => {
      const rows = await leader.sql<{ application_name: string; sync_state: string }>(
        'select application_name, sync_state from pg_stat_replication',
      );
      const sync = rows.filter((row) => row.sync_state === 'sync').map((row) => row.application_name);
      return sync.length === 1 && sync[0] === chosen.name ? { value: true } : { missing: JSON.stringify(rows) };
    });
    await writer.next();
    // Once it leads itself it must not wait for itself: every commit would, for ever.
    expect((await cluster.ctl(['switchover', '--candidate', chosen.name, '--force'])).stdout).toContain('Successfully switched over');
    await writer.ack(`on ${chosen.name}`, 30_000, (ack) => ack.node === chosen.name);
    await writer.next();
    expect(await setting(chosen, 'synchronous_standby_names')).toBe('');
    await cluster.until('its log says why', 10_000, () => chosen.log().includes('it names this node alone'));
    // A member that has just handed over is refused until it is back as a standby.
    await cluster.until('back to the first leader', 60_000, async () =>
      (await cluster.ctl(['switchover', '--candidate', leader.name, '--force'])).stdout.includes('Successfully switched over'),
    );
    await writer.ack(`on ${leader.name}`, 30_000, (ack) => ack.node === leader.name);
    await edit('-s', 'synchronous_mode=quorum');
    await cluster.until('the list is void', 20_000, async () => (await setting(leader, 'synchronous_standby_names')).startsWith('ANY 1 ('));
    await cluster.until('the log says why', 10_000, () => leader.log().includes('ignored as long as synchronous_mode is quorum'));
    await edit('-s', 'synchronous_mode=off');
    for (const node of cluster.nodes)
      changeLocal(node, { postgresql: { parameters: { synchronous_commit: null, synchronous_standby_names: null } } });
    await cluster.until('nobody has to confirm', 20_000, async () => (await setting(leader, 'synchronous_standby_names')) === '');
    await cluster.verify(writer);
  });

  test('replicatefrom, where the tutorial writes it: a replica streams from a replica, and from the leader while that is away', async () => {
    const { leader, writer } = await writing();
    const [middle, leaf] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
    const streamsFrom = (source: ClusterNode) =>
      cluster.eventually(`${leaf.name} streams from ${source.name}`, 40_000, async () => {
        const [row] = await leaf.sql<{ port: number; status: string }>('select sender_port as port, status from pg_stat_wal_receiver');
        const there = row?.port === source.place.postgresPort && row.status === 'streaming';
        return there ? { value: true } : { missing: JSON.stringify(row ?? null) };
      });
    // Where the slot is, WAL waits for the leaf: with its source, and there alone it is in use.
    const slotInUse = (source: ClusterNode) =>
      cluster.until(`the slot of ${leaf.name} is in use on ${source.name}`, 20_000, async () => {
        const [slot] = await source.sql<{ active: boolean }>(`select active from pg_replication_slots where slot_name = '${leaf.name}'`);
        return slot?.active === true;
      });
    const server = leaf.postmasterPid;
    editLocal(leaf, { postgresql: { replica: { replicatefrom: middle.name } } });
    expect((await cluster.ctl(['reload', cluster.scope, leaf.name, '--force'])).stdout).toContain(
      `Reload request received for member ${leaf.name}`,
    );
    await streamsFrom(middle);
    await slotInUse(middle);
    // The tool reads the leaf's own key, which the leaf writes once its round has seen the stream.
    await cluster.until('the tool says so', 20_000, async () => {
      const row = (await list()).find(({ Member }) => Member === leaf.name);
      return row?.State === 'streaming' && row.Tags?.replicatefrom === middle.name;
    });
    const below = new RegExp(`\\+ ${middle.name}[^+]*\\| +\\+ ${leaf.name}`);
    await cluster.until('topology draws it so', 10_000, async () => below.test((await cluster.ctl(['topology'])).stdout));
    await middle.killAll();
    await streamsFrom(leader);
    await slotInUse(leader);
    middle.start();
    await streamsFrom(middle);
    await slotInUse(middle);
    editLocal(leaf, { postgresql: { replica: null } });
    expect((await leaf.rest('/reload', { method: 'POST' }))?.status).toBe(202);
    await streamsFrom(leader);
    changeLocal(leaf, { postgresql: { replica: { replicatefrom: middle.name } } });
    await streamsFrom(middle);
    changeLocal(leaf, { postgresql: { replica: null } });
    await streamsFrom(leader);
    expect(leaf.postmasterPid).toBe(server);
    await edit('-s', 'synchronous_mode=quorum');
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });
});

test('a setting that stops PostgreSQL from starting is corrected: it starts at once, not only after the hold-off', async () => {
  const { leader, writer } = await writing();
  const replica = cluster.others(leader.name)[0]!;
  const told = async () => String(((await replica.rest('/patroni'))?.body?.['regent'] as { because?: string } | undefined)?.because);
  const failures = (from: number) =>
    replica
      .log()
      .slice(from)
      .match(/restarting after failure failed/g)?.length ?? 0;
  const before = replica.log().length;
  editLocal(replica, { postgresql: { parameters: { shared_buffers: '8TB' } } });
  reload(replica);
  await cluster.until(
    'it is known to wait for a restart',
    20_000,
    async () => 'pending_restart' in ((await replica.rest('/patroni'))?.body ?? {}),
  );
  expect(await cluster.ctl(['restart', cluster.scope, replica.name, '--force'], 60_000)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('Failed: restart'),
  });
  // By the third failure it is held off for four seconds.
  await cluster.until('it has failed three times', 40_000, () => failures(before) >= 3);
  await cluster.until('it says so', 10_000, async () => (await told()).includes('failed to start postgres'));
  const mended = replica.log().length;
  changeLocal(replica, { postgresql: { parameters: { shared_buffers: null } } });
  await cluster.until('it runs', 30_000, async () => (await replica.rest('/patroni'))?.body?.['state'] === 'running');
  // By the agent's own times: how long PostgreSQL takes to start is the machine's.
  const [read, starts] = ['configuration read again', 'restarting after failure in progress'].map((words) =>
    replica.loggedAtMs(words, mended),
  );
  const tookMs = starts! - read!;
  console.log(`a mended setting: PostgreSQL is started after ${tookMs} ms`);
  expect(tookMs).toBeLessThan(2500);
  expect(await cluster.waitHealthy()).toBe(leader.name);
  await cluster.verify(writer);
});

test('a member that is removed for good is forgotten with its slot, and a key of no member gets none', async () => {
  const { leader, writer } = await writing();
  const [stays, goes] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
  const slots = async (node: ClusterNode) =>
    (await node.sql<{ slot_name: string }>('select slot_name from pg_replication_slots')).map((row) => row.slot_name);
  const forget = (name: string) => cluster.ctl(['forget', cluster.scope, name, '--force'], 60_000);
  await open(cluster.etcd.endpoints, {}, cluster.scope).putMember('rubbish', { no: 'record' }, null, CALL);
  closeOpened();

  const alive = await forget(goes.name);
  expect([alive.code, alive.stderr]).toEqual([1, expect.stringMatching(`${goes.name} is alive: it answers on .*\nIf .*stop its agent`)]);
  await goes.killAll();
  const { code, stdout, stderr } = await forget(goes.name);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain(`Success: ${goes.name} is forgotten`);
  for (const node of [leader, stays])
    await cluster.until(`${node.name} has dropped the slot`, 20_000, async () => !(await slots(node)).includes(goes.name));
  expect((await forget('rubbish')).stdout).toContain('Success: rubbish is forgotten');

  // Several rounds of the leader and the others, in which each would make again what it remembers.
  const position = async () => (JSON.parse((await cluster.key('status')) ?? '{}') as { optime?: number }).optime;
  for (let round = 0; round < 3; round += 1) {
    const before = await position();
    await cluster.until('the leader has written /status again', 20_000, async () => (await position()) !== before);
    for (const node of [leader, stays]) expect(await slots(node)).not.toEqual(expect.arrayContaining([goes.name]));
    for (const node of [leader, stays]) expect(await slots(node)).not.toContain('rubbish');
  }
  await cluster.eventually('health knows nothing of it', 20_000, async () => {
    const { code: found, stdout: health } = await cluster.ctl(['health', cluster.scope, '--no-haproxy', '-f', 'json']);
    return found === 0 && !health.includes(goes.name) ? { value: true } : { missing: health };
  });

  goes.start();
  expect(await cluster.waitHealthy(60_000)).toBe(leader.name);
  await cluster.until('its slot is there again', 20_000, async () => (await slots(leader)).includes(goes.name));
  await cluster.verify(writer);
});

interface Outcome {
  readonly code: unknown;
  readonly stderr: string;
}

/** What became of an agent that is started with this file beside the node's own. */
function agentWith(node: ClusterNode, file: string): Promise<Outcome> {
  chownSync(file, node.place.owner.uid, node.place.owner.gid);
  const [program, ...words] = [...node.place.command.slice(0, -1), file];
  return new Promise((resolve) => {
    const options = { ...node.place.owner, cwd: node.place.directory, timeout: 60_000 };
    execFile(program!, words, options, (error, _stdout, stderr) => resolve({ code: error?.code, stderr }));
  });
}

test('a second agent under the name of one that runs does not start, whatever its data directory', async () => {
  const node = cluster.nodes[0]!;
  const file = join(node.place.directory, 'namesake.yml');
  const text = readFileSync(configFile(node), 'utf8');
  const elsewhere = text.replace(/^( +data_dir): .*/m, `$1: ${join(node.place.directory, 'namesake')}`);
  expect(elsewhere).not.toBe(text);
  writeFileSync(file, elsewhere, { mode: 0o600 });
  const { code, stderr } = await agentWith(node, file);
  expect(code, stderr).toBe(1);
  expect(stderr).toContain(`Can't start; there is already a node named '${node.name}' running`);
});

describe('a broken file', () => {
  /** The file with two values broken and a key misspelt; the lines on which they stand, from 1. */
  function broken(text: string): { readonly text: string; readonly lines: readonly number[] } {
    const lines = text.split('\n');
    const change = (from: RegExp, to: string) => {
      const at = lines.findIndex((line) => from.test(line));
      expect(at).toBeGreaterThanOrEqual(0);
      lines[at] = lines[at]!.replace(from, to);
      return at + 1;
    };
    const places = [
      change(/^(\s+mode): .*/, '$1: sometimes'),
      change(/^(\s+use_pg_rewind): .*/, '$1: maybe'),
      change(/^(\s+listen): 127.0.0.1:\d+/, '$1: 127.0.0.1:99999'),
    ];
    return { text: lines.join('\n'), lines: places };
  }

  test('at the start: every mistake with file, line and column, and exit code 1', async () => {
    const node = cluster.nodes[0]!;
    const file = join(node.place.directory, 'broken.yml');
    const { text, lines } = broken(readFileSync(configFile(node), 'utf8'));
    writeFileSync(file, text, { mode: 0o600 });
    const outcome = await agentWith(node, file);
    expect(outcome.code).toBe(1);
    for (const line of lines) expect(outcome.stderr).toMatch(new RegExp(`${file}:${line}:\\d+: \\w+`));
    expect(outcome.stderr).not.toContain('    at ');
  });

  test('at a reload: the same words in the log, and the old settings stay in force', async () => {
    const { leader, writer } = await writing();
    const file = configFile(leader);
    const before = readFileSync(file, 'utf8');
    const { text, lines } = broken(before);
    writeFileSync(file, text);
    const told = (await cluster.ctl(['reload', cluster.scope, leader.name, '--force'])).stdout;
    expect(told).toContain(`Failed: reload for member ${leader.name}, the configuration was not reloaded`);
    expect(told).toContain(`${file}:${lines[0]}:`);
    reload(leader);
    const known = [/the old one stays in force/, ...lines.map((line) => new RegExp(`${file}:${line}:\\d+: \\w+`))];
    await cluster.until('the log says so', 20_000, () => known.every((line) => line.test(leader.log())));
    await writer.next();
    writeFileSync(file, before);
    changeLocal(leader, { postgresql: { parameters: { work_mem: '5MB' } } });
    await cluster.until('the mended file is taken', 20_000, async () => (await setting(leader, 'work_mem')) === '5MB');
    expect(await cluster.waitHealthy()).toBe(leader.name);
    // What needs a restart of the agent waits, and the rest of the same file does not wait for it.
    editLocal(leader, { etcd3: { hosts: '127.0.0.1:1' }, postgresql: { parameters: { work_mem: '6MB' } } });
    const partly = (await cluster.ctl(['reload', cluster.scope, leader.name, '--force'])).stdout;
    expect(partly).toContain(`Reload request received for member ${leader.name}`);
    expect(partly).toContain(`Member ${leader.name}: not in force before the agent is restarted: etcd3.hosts\n`);
    await cluster.until('the rest is taken', 20_000, async () => (await setting(leader, 'work_mem')) === '6MB');
    await cluster.until('the log says so', 10_000, () => leader.log().includes('not in force before the agent is restarted: etcd3.hosts'));
    writeFileSync(file, before);
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });
});
