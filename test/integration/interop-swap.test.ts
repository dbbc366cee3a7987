/**
 * A node changes hands between Patroni and Regent on its own files while PostgreSQL runs on. The
 * tool of each commands a cluster of the other.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mendAfterFailure } from './support/mend.ts';
import { type MixedCluster, patroniVersion, startMixed, type Tool, TTL } from './support/patroni.ts';

/** Long enough to start another agent on a busy machine. */
const LONG_TTL = 10;

const version = patroniVersion();

describe.skipIf(version === null)(`in place of Patroni ${version ?? '(not installed: skipped)'}`, () => {
  let mixed: MixedCluster;
  beforeAll(async () => {
    mixed = await startMixed({ programs: ['regent', 'patroni'] });
  });
  afterAll(() => mixed?.close());
  mendAfterFailure(() => mixed);

  const postmasters = () => mixed.cluster.nodes.map((node) => node.postmasterPid);
  const read = (name: string, path: string) => readFileSync(join(mixed.node(name).dataDir, path), 'utf8');

  /** Until its output is as wanted: some of it follows a round of the agents later. */
  const says = (tool: Tool, args: readonly string[], wanted: (told: string) => boolean) =>
    mixed.cluster.eventually(`${tool} ${args.join(' ')}`, 40_000, async () => {
      const told = await run(tool, args);
      return wanted(told) ? { value: true } : { missing: told };
    });

  async function leaseOf(ttl: number): Promise<void> {
    await mixed.cluster.configure({ ttl });
    await mixed.cluster.until(`the lease is of ${ttl} s`, 20_000, async () => (await mixed.cluster.leaseSeconds()) === ttl);
  }

  const run = (tool: Tool, args: readonly string[], answers = '') => mixed.mustRun(tool, args, answers);

  /** Where an agent finds the cluster's settings while etcd is away. */
  const dynamicIsKept = (name: string) =>
    mixed.cluster.until(`${name} keeps /config in patroni.dynamic.json`, 20_000, async () => {
      return isDeepStrictEqual(JSON.parse(read(name, 'patroni.dynamic.json')), JSON.parse((await mixed.cluster.key('config')) ?? ''));
    });

  test('Patroni joins a cluster that Regent began, and hands its node to Regent without a restart', async () => {
    const before = postmasters();
    const base = read('node2', 'postgresql.base.conf');
    await mixed.handOver(['node2'], 'regent', 'patronictl');
    expect(postmasters()).toEqual(before);
    expect(read('node2', 'postgresql.base.conf')).toBe(base);
    await dynamicIsKept('node2');
  });

  test('patronictl commands a cluster of Regent', async () => {
    await command('patronictl');
    expect(await run('patronictl', ['version', 'itest'])).toMatch(/node1: Patroni [\d.]+ PostgreSQL/);
  });

  test('Regent hands both nodes to Patroni without a restart, the leader’s too', async () => {
    const before = postmasters();
    await mixed.handOver(['node2', 'node1'], 'patroni', 'regentctl');
    expect(postmasters()).toEqual(before);
    await dynamicIsKept('node1');
  });

  test('regentctl commands a cluster of Patroni', async () => {
    await command('regentctl');
    expect(await run('regentctl', ['version', 'itest'])).toContain(`node1: Patroni ${version} PostgreSQL`);
    await says('regentctl', ['health', 'itest'], (told) => told.includes('Health: OK'));
  });

  test('Patroni is killed by kill -9 and Regent started in its place: no restart, no failover', async () => {
    const leader = await mixed.waitHealthy();
    await leaseOf(LONG_TTL);
    const before = postmasters();
    const writer = mixed.cluster.writer();
    await writer.next();
    for (const { name } of mixed.cluster.others(leader).concat(mixed.node(leader))) {
      await mixed.node(name).killAgent();
      mixed.start(name, 'regent');
      await mixed.isTakenOver(name, leader);
    }
    expect(await mixed.waitHealthy()).toBe(leader);
    await writer.next();
    await mixed.cluster.verify(writer);
    expect(postmasters()).toEqual(before);
    await leaseOf(TTL);
  });

  test('Regent on a replica is killed by kill -9 and Patroni started in its place, without a restart', async () => {
    const leader = await mixed.waitHealthy();
    const [replica] = mixed.cluster.others(leader);
    const before = postmasters();
    await replica!.killAgent();
    mixed.start(replica!.name, 'patroni');
    await mixed.isTakenOver(replica!.name, leader);
    expect(await mixed.waitHealthy()).toBe(leader);
    expect(postmasters()).toEqual(before);
  });

  test('Regent on the leader is killed by kill -9 and Patroni started in its place: its guard strikes once, and leaves the node to Patroni', async () => {
    const leader = await mixed.waitHealthy();
    const node = mixed.node(leader);
    expect(mixed.programOf(leader)).toBe('regent');
    await node.killAgent();
    mixed.start(leader, 'patroni');
    await mixed.cluster.until('the guard has gone', 40_000, () => node.guardPid === null);
    await mixed.waitHealthy();
  });

  /** Every command that changes something, against agents of the other program. */
  async function command(tool: Tool): Promise<void> {
    const { scope } = mixed.cluster;
    const old = await mixed.waitHealthy();
    const leader = old === 'node1' ? 'node2' : 'node1';
    // The answers: leader, candidate, when, sure.
    const switched = await run(tool, ['switchover', scope], `${old}\n${leader}\nnow\ny\n`);
    expect(switched).toContain(`Successfully switched over to "${leader}"`);
    await mixed.waitHealthy(leader);
    const last = new RegExp(`\\| ${leader} +\\|$`);
    await says(tool, ['history', scope], (told) => last.test(told.trimEnd().split('\n').at(-2) ?? ''));
    const later = '2099-01-01T00:00+00:00';
    await run(tool, ['switchover', scope, '--candidate', old, '--scheduled', later, '--force']);
    expect(await run(tool, ['restart', scope, old, '--scheduled', later, '--force'])).toContain(`restart scheduled on member ${old}`);
    // The member writes the plan of its restart into its key in its next round.
    const plan = `at: 2099-01-01T00:00:00+00:00\n                    from: ${leader}\n                      to: ${old}\n`;
    for (const by of ['patronictl', 'regentctl'] as const)
      await says(by, ['list'], (shown) => shown.includes(plan) && shown.includes('| 2099-01-01T00:00:00+00:00 |'));
    expect(await run(tool, ['flush', scope, 'switchover', '--force'])).toContain('Success: scheduled switchover deleted');
    expect(await run(tool, ['flush', scope, old, 'restart', '--force'])).toContain(`Success: flush scheduled restart for member ${old}`);

    const connections = String(60 + Math.floor(performance.now() % 1000));
    const edited = await run(tool, ['edit-config', scope, '-s', `postgresql.parameters.max_connections=${connections}`, '--force']);
    expect(edited).toContain('Configuration changed');
    expect(await run(tool, ['show-config', scope])).toContain(`max_connections: ${connections}`);
    for (const name of ['node1', 'node2'])
      await mixed.cluster.until(
        `${name} waits for a restart`,
        30_000,
        async () => (await mixed.member(name))?.['pending_restart'] === true,
      );
    for (const shown of [await run('patronictl', ['list']), await run('regentctl', ['list'])])
      expect(shown.match(/\| \* {15}/g)?.length, shown).toBe(2);
    expect(await run(tool, ['restart', scope, '--pending', '--force'])).toMatch(/(Success: restart on member node[12]\s+){2}/);
    await mixed.waitHealthy(leader);
    expect(await mixed.node(leader).sql('show max_connections')).toEqual([{ max_connections: connections }]);

    expect(await run(tool, ['reload', scope, '--force'])).toContain(`Reload request received for member ${leader}`);
    expect(await run(tool, ['pause', '--wait', scope])).toContain('Success: cluster management is paused');
    expect(await run(tool, ['list'])).toContain(' Maintenance mode: on');
    expect(await run(tool, ['resume', '--wait', scope])).toContain('Success: cluster management is resumed');
    const postmaster = mixed.node(old).postmasterPid;
    const cloned = await run(tool, ['reinit', scope, old, '--force', '--wait']);
    expect(cloned).toContain(`Success: reinitialize for member ${old}`);
    expect(cloned).toContain(`Reinitialize is completed on: ${old}`);
    await mixed.waitHealthy(leader);
    expect(mixed.node(old).postmasterPid).not.toBe(postmaster);
  }
});
