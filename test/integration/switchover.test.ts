/** Changes of leader that an operator asks for, under a client that writes. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Cluster, startCluster } from './support/cluster.ts';
import type { ClusterNode } from './support/cluster-node.ts';
import { reasonOfLead } from './support/history.ts';
import { changeLocal, configFile } from './support/local-config.ts';
import { mendAfterFailure } from './support/mend.ts';
import { eventually } from './support/postgres.ts';
import type { Writer } from './support/writer.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.close());
mendAfterFailure(() => cluster);

interface Scene {
  readonly leader: ClusterNode;
  readonly first: ClusterNode;
  readonly second: ClusterNode;
  readonly writer: Writer;
}

async function writing(): Promise<Scene> {
  const leader = cluster.node(await cluster.waitHealthy());
  const [first, second] = cluster.others(leader.name) as [ClusterNode, ClusterNode];
  const writer = cluster.writer();
  await writer.next();
  return { leader, first, second, writer };
}

/** Healthy again under `expected`, writes going on there, and none lost. */
async function expectLed(expected: string, writer: Writer, what: string): Promise<void> {
  await writer.ack(`on ${expected}`, 30_000, (ack) => ack.node === expected);
  expect(await cluster.waitHealthy()).toBe(expected);
  await cluster.verify(writer);
  console.log(`${what}: no write acknowledged for ${Math.round(writer.longestGapMs())} ms`);
}

/** A failover key that is done with is an empty map or absent. */
const nothingIsAskedFor = () =>
  cluster.until('the request is done with', 20_000, async () => ((await cluster.key('failover')) ?? '{}') === '{}');

async function post(node: ClusterNode, path: string, body: object): Promise<{ readonly status: number; readonly text: string }> {
  const { host, restPort } = node.place;
  const signal = AbortSignal.timeout(40_000);
  const answer = await fetch(`http://${host}:${restPort}${path}`, { method: 'POST', body: JSON.stringify(body), signal });
  return { status: answer.status, text: await answer.text() };
}

/** pg_hba of the node's own file. */
function accessLines(node: ClusterNode): readonly string[] {
  return (parse(readFileSync(configFile(node), 'utf8')) as { postgresql: { pg_hba: string[] } }).postgresql.pg_hba;
}

/** By what its server says, of the rules as well. */
async function untilInRole(node: ClusterNode, role: 'primary' | 'replica'): Promise<void> {
  const text = `SELECT current_setting('work_mem') AS work_mem, array_agg(u) AS users
    FROM pg_hba_file_rules, unnest(user_name) AS u WHERE u LIKE '%_only'`;
  const wanted = { work_mem: role === 'primary' ? '5MB' : '6MB', users: [`${role}_only`] };
  await eventually(`${node.name} to have the settings of a ${role}`, 30_000, async () => {
    const [row] = await node.sql(text).catch(() => []);
    return isDeepStrictEqual(row, wanted);
  });
}

describe('switchover', () => {
  test('to the best candidate, by regentctl', async () => {
    const { leader, writer } = await writing();
    const { code, stdout } = await cluster.ctl(['switchover', '--force']);
    expect(code).toBe(0);
    const successor = /Successfully switched over to "(\w+)"/.exec(stdout)?.[1];
    expect(successor).toBeDefined();
    expect(successor).not.toBe(leader.name);
    await expectLed(successor!, writer, 'switchover to the best candidate');
    const asked = new RegExp(`^switchover from ${leader.name} to ${successor}, asked for by \\S+@\\S+ \\([\\d.]+\\) at 20[-\\dT:.+]+$`);
    expect(await reasonOfLead(cluster, successor!)).toMatch(asked);
    expect((await cluster.ctl(['history', '-f', 'json'])).stdout).toContain(
      `"switchover from ${leader.name} to ${successor}, asked for by `,
    );
  });

  test('to a named candidate, by REST; the third node follows without a restart', async () => {
    const { leader, first, second, writer } = await writing();
    const postmaster = first.postmasterPid;
    const answer = await post(leader, '/switchover', { leader: leader.name, candidate: second.name });
    expect(answer).toEqual({ status: 200, text: `Successfully switched over to "${second.name}"` });
    await expectLed(second.name, writer, 'switchover to a named candidate');
    expect(await reasonOfLead(cluster, second.name)).toMatch(/asked for by 127\.[\d.]+ at /);
    expect(first.postmasterPid).toBe(postmaster);
  });

  test('brings each member the settings of its new role, without a restart', async () => {
    const { leader, first, second, writer } = await writing();
    const postmaster = first.postmasterPid;
    const lines = (role: string) => [`host all ${role}_only 10.1.2.3/32 reject`, ...accessLines(leader)];
    const byRole = {
      parameters_primary: { work_mem: '5MB', max_connections: 77 },
      parameters_replica: { work_mem: '6MB' },
      pg_hba_primary: lines('primary'),
      pg_hba_replica: lines('replica'),
    };
    expect((await leader.rest('/config', { method: 'PATCH', body: { postgresql: byRole } }))?.status).toBe(200);
    await untilInRole(leader, 'primary');
    await untilInRole(first, 'replica');
    expect((await cluster.ctl(['switchover', '--force', '--candidate', first.name])).code).toBe(0);
    await expectLed(first.name, writer, 'switchover with settings by role');
    for (const [node, role] of [
      [first, 'primary'],
      [leader, 'replica'],
      [second, 'replica'],
    ] as const)
      await untilInRole(node, role);
    expect(first.postmasterPid).toBe(postmaster);
    expect(await first.sql('SHOW max_connections')).toEqual([{ max_connections: '50' }]);
    expect(first.log()).toContain('max_connections is the same on all members, whatever their role; it is ignored here');
    const none = Object.fromEntries(Object.keys(byRole).map((key) => [key, null]));
    expect((await first.rest('/config', { method: 'PATCH', body: { postgresql: none } }))?.status).toBe(200);
  });

  test('seconds from now, by REST', async () => {
    const { leader, first, writer } = await writing();
    const at = Date.now() + 3000;
    const answer = await post(leader, '/switchover', {
      leader: leader.name,
      candidate: first.name,
      scheduled_at: new Date(at).toISOString(),
    });
    expect(answer).toEqual({ status: 202, text: 'Switchover scheduled' });
    const successor = await cluster.waitForLeader({ not: leader.name });
    expect(Date.now()).toBeGreaterThanOrEqual(at);
    expect(successor).toBe(first.name);
    await expectLed(first.name, writer, 'scheduled switchover');
    await nothingIsAskedFor();
  });

  test('seconds from now, by regentctl; one for later is shown, and is not there any more once it is cancelled', async () => {
    const { leader, first, second, writer } = await writing();
    const schedule = ({ name }: ClusterNode, atMs: number) =>
      cluster.ctl(['switchover', '--candidate', name, '--scheduled', new Date(atMs).toISOString(), '--force']);
    const later = Date.now() + 3_600_000;
    const called = await schedule(second, later);
    expect(called.stdout).toContain('Switchover scheduled');
    expect(called.code).toBe(0);
    expect((await cluster.ctl(['list'])).stdout).toMatch(/Switchover scheduled at: .*\n\s+from: node\d\n\s+to: node\d/);
    await cluster.until('a member shows it', 20_000, async () => {
      const shown = (await leader.rest('/cluster'))?.body?.['scheduled_switchover'] as Record<string, unknown> | undefined;
      return shown?.['from'] === leader.name && shown['to'] === second.name && Date.parse(String(shown['at'])) === later;
    });
    const flushed = await cluster.ctl(['flush', cluster.scope, 'switchover', '--force']);
    expect(flushed).toMatchObject({ code: 0, stdout: expect.stringContaining('scheduled switchover deleted') });
    await nothingIsAskedFor();
    // The tool takes a while to start, and what has passed is refused.
    expect((await schedule(first, Date.now() + 5000)).stdout).toContain('Switchover scheduled');
    expect(await cluster.waitForLeader({ not: leader.name })).toBe(first.name);
    await expectLed(first.name, writer, 'switchover scheduled by regentctl');
  });
});

describe('a switchover that cannot be', () => {
  test('is refused with a sentence, and nothing moves', async () => {
    const { leader, first, writer } = await writing();
    const from = { leader: leader.name };
    expect(await post(leader, '/switchover', { ...from, candidate: 'node9' })).toEqual({
      status: 412,
      text: 'candidate does not exists',
    });
    expect(await post(leader, '/switchover', { leader: first.name })).toEqual({
      status: 412,
      text: 'leader name does not match',
    });
    expect(await post(leader, '/switchover', { ...from, candidate: leader.name })).toEqual({
      status: 400,
      text: 'Switchover target and source are the same',
    });
    expect(await post(leader, '/switchover', { ...from, scheduled_at: '2001-01-01T00:00:00Z' })).toMatchObject({ status: 422 });
    const unknown = await cluster.ctl(['switchover', '--candidate', 'node9', '--force']);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("There is no member 'node9' in cluster itest; members: node1, node2, node3");
    await writer.next();
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });

  test('because the candidate is tagged nofailover', async () => {
    const { leader, first, writer } = await writing();
    changeLocal(first, { tags: { nofailover: true } });
    try {
      await cluster.until('the tag is known', 20_000, async () =>
        Boolean(JSON.parse((await cluster.key(`members/${first.name}`)) ?? '{}').tags?.nofailover),
      );
      const answer = await post(leader, '/switchover', { leader: leader.name, candidate: first.name });
      expect(answer.status).toBe(412);
      expect(answer.text).toBe('switchover is not possible: no good candidates have been found');
      const called = await cluster.ctl(['switchover', '--candidate', first.name, '--force']);
      expect(called.code).toBe(1);
      expect(called.stderr).toContain('is tagged as nofailover');
    } finally {
      changeLocal(first, { tags: null });
    }
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });

  test('because the candidate lags', async () => {
    const { leader, first, writer } = await writing();
    const [receiver] = await first.sql<{ pid: number }>('select pid from pg_stat_wal_receiver');
    await first.freezePart(receiver!.pid);
    try {
      await leader.sql(`create table filler as select repeat(md5(i::text), 30) from generate_series(1, 5000) i`);
      const [end] = await leader.sql<{ lsn: string }>(`select pg_current_wal_lsn() - '0/0' as lsn`);
      await cluster.until('etcd knows', 20_000, async () => {
        return BigInt(JSON.parse((await cluster.key('status')) ?? '{}').optime ?? 0) >= BigInt(end!.lsn);
      });
      const answer = await post(leader, '/switchover', { leader: leader.name, candidate: first.name });
      expect(answer.status).toBe(412);
      expect(answer.text).toBe('switchover is not possible: no good candidates have been found');
      const why = new RegExp(`${first.name} is \\d+ bytes behind, more than maximum_lag_on_failover allows$`, 'm');
      await cluster.until('the log says why', 10_000, () => why.test(leader.log()));
    } finally {
      process.kill(receiver!.pid, 'SIGCONT');
    }
    expect(await cluster.waitHealthy()).toBe(leader.name);
    await cluster.verify(writer);
  });
});

describe('a switchover that meets trouble', () => {
  test('asked for twice at once, to different candidates: one of them leads, and both operators are told so', async () => {
    const { leader, first, second, writer } = await writing();
    const answers = await Promise.all(
      [first, second].map((candidate) => post(leader, '/switchover', { leader: leader.name, candidate: candidate.name })),
    );
    const successor = await cluster.waitForLeader({ not: leader.name });
    expect([first.name, second.name]).toContain(successor);
    expect(answers.map((answer) => answer.text)).toContain(`Successfully switched over to "${successor}"`);
    for (const { text } of answers) expect(text).toContain(`over to "${successor}"`);
    await expectLed(successor, writer, 'switchover asked for twice');
  });

  test('its candidate is killed in the middle: another leads, the candidate comes back', async () => {
    const { leader, first, writer } = await writing();
    const answer = post(leader, '/switchover', { leader: leader.name, candidate: first.name });
    await cluster.until('the leader begins to hand over', 20_000, async () => (await leader.rest('/primary'))?.status !== 200);
    await first.killAll();
    const successor = await cluster.waitForLeader({ not: first.name });
    await writer.ack(`on ${successor}`, 30_000, (ack) => ack.node === successor);
    first.start();
    await cluster.waitHealthy();
    expect([200, 503]).toContain((await answer).status);
    await cluster.verify(writer);
  });

  test('the third node is gone without notice: the stop does not wait for wal_sender_timeout, which is a minute', async () => {
    const { leader, first, second, writer } = await writing();
    const frozen = [second.childOfPostmaster('walreceiver'), second.childOfPostmaster('startup')];
    for (const pid of frozen) process.kill(pid, 'SIGSTOP');
    try {
      const askedAt = performance.now();
      const answer = await post(leader, '/switchover', { leader: leader.name, candidate: first.name });
      expect(answer).toEqual({ status: 200, text: `Successfully switched over to "${first.name}"` });
      await writer.ack(`on ${first.name}`, 30_000, (ack) => ack.node === first.name);
      expect(performance.now() - askedAt).toBeLessThan(45_000);
      const why = `${second.name}: silent for 3 s, so the stop does not wait for them`;
      await cluster.until('the log says why', 10_000, () => leader.log().includes(why));
    } finally {
      for (const pid of frozen) process.kill(pid, 'SIGCONT');
    }
    await expectLed(first.name, writer, 'switchover while the third node is gone');
  });

  test('failover to a named member while the leader is dead', async () => {
    const { leader, second, writer } = await writing();
    // Nobody leads before the lease has ended: the operator is quicker, on a busy machine too.
    await cluster.configure({ failover_fence: 'lease', ttl: 9 });
    await leader.killAll();
    const { code, stdout } = await cluster.ctl(['failover', '--candidate', second.name, '--force']);
    expect(stdout).toContain('falling back to DCS');
    expect(stdout).toContain(`Successfully failed over to "${second.name}"`);
    expect(code).toBe(0);
    expect(await cluster.waitForLeader({ not: leader.name })).toBe(second.name);
    leader.start();
    await expectLed(second.name, writer, 'failover by hand from a dead leader');
    await cluster.configure({ failover_fence: null, ttl: 6 });
    await nothingIsAskedFor();
  });
});
