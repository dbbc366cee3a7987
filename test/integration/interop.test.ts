/**
 * Patroni and Regent in one cluster: nodes of either join, hand over, fail over and wait for each
 * other's commits.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GivenUp } from './support/cluster.ts';
import { mendAfterFailure } from './support/mend.ts';
import { type MixedCluster, type Output, patroniVersion, startMixed, type Tool, TTL } from './support/patroni.ts';
import { type Allowed, answersOf, compareRest, untilTwoStream, unused } from './support/rest-differences.ts';

const version = patroniVersion();

describe.skipIf(version === null)(`beside Patroni ${version ?? '(not installed: skipped)'}`, () => {
  let mixed: MixedCluster;
  /** Rows of the list of REST differences that were needed. */
  const used = new Set<Allowed>();
  beforeAll(async () => {
    mixed = await startMixed({ programs: ['patroni', 'patroni', 'regent'], started: 2 });
  });
  afterAll(() => mixed?.close());
  mendAfterFailure(() => mixed);

  /**
   * Both tools show the same cluster: name, address, role and timeline of everybody. What a
   * streaming replica's state is called differs.
   */
  /**
   * The two tools read one after the other while members publish: they have to agree, not in the
   * same instant.
   */
  function expectSameTables(settled: (rows: string[][]) => boolean = () => true): Promise<string[][]> {
    const common = (row: readonly string[]) => [0, 1, 2, 3, 5].map((column) => row[column]);
    return mixed.cluster.eventually('both tools show the same cluster', 40_000, async () => {
      const [theirs, ours] = await Promise.all([mixed.rows('patronictl'), mixed.rows('regentctl')]);
      const left = { rows: theirs.map(common), states: theirs.map((row) => row[4]) };
      const right = { rows: ours.map(common), states: ours.map((row) => row[4]?.replace('streaming', 'running')) };
      const same = JSON.stringify(left) === JSON.stringify(right) && settled(ours);
      return same ? { value: ours } : { missing: `patronictl ${JSON.stringify(theirs)}, regentctl ${JSON.stringify(ours)}` };
    });
  }

  async function switchover(tool: Tool, leader: string, candidate: string): Promise<void> {
    const { stdout, stderr } = await mixed[tool](['switchover', 'itest', '--leader', leader, '--candidate', candidate, '--force']);
    expect(stdout, stderr).toContain(`Successfully switched over to "${candidate}"`);
    expect(await mixed.waitHealthy(candidate)).toBe(candidate);
  }

  async function setSynchronous(): Promise<void> {
    const pairs = ['-s', 'synchronous_mode=true', '-s', 'synchronous_node_count=2'];
    const { stdout, stderr } = await mixed.patronictl(['edit-config', 'itest', ...pairs, '--force']);
    expect(stdout, stderr).toContain('Configuration changed');
  }

  const syncIs = (leader: string, standbys: string) =>
    mixed.cluster.eventually(`/sync is ${leader} and ${standbys}`, 40_000, async () => {
      const sync = await mixed.sync();
      const fits = sync?.leader === leader && (sync.sync_standby ?? '') === standbys && (sync.quorum ?? 0) === 0;
      return fits ? { value: true } : { missing: JSON.stringify(sync) };
    });

  test('a Regent node clones from a leader that runs Patroni, and streams', async () => {
    mixed.start('node3');
    await mixed.waitHealthy('node1');
    const rows = await expectSameTables((shown) => shown[2]?.[4] === 'streaming');
    expect(rows.map((row) => row[3])).toEqual(['Leader', 'Replica', 'Replica']);
  });

  test('the REST API of a Regent replica answers as that of a Patroni replica, but for a list of differences', async () => {
    const [theirs, ours] = [
      await answersOf(mixed.node('node2'), 'replica', 'node1'),
      await answersOf(mixed.node('node3'), 'replica', 'node1'),
    ];
    expect(compareRest(theirs, ours, 'old', used)).toEqual([]);
  });

  test('a Regent replica that falls behind is taken out by ?lag= at once', async () => {
    const node = mixed.node('node3');
    const says = (wanted: number, timeoutMs: number) =>
      mixed.cluster.until(`/replica?lag=1MB is ${wanted}`, timeoutMs, async () => (await node.rest('/replica?lag=1MB'))?.status === wanted);
    await says(200, 20_000);
    await node.sql('select pg_wal_replay_pause()');
    await mixed.node('node1').sql('create table filler as select repeat(md5(i::text), 30) from generate_series(1, 4000) i');
    await says(503, 5000);
    await node.sql('select pg_wal_replay_resume()');
    await says(200, 20_000);
  });

  test('switchover to the Regent node with patronictl, back with regentctl, and all members follow', async () => {
    await untilTwoStream(mixed.cluster, mixed.node('node1'));
    const ofPatroni = await answersOf(mixed.node('node1'), 'leader', 'node1');
    const writer = mixed.cluster.writer();
    await writer.next();
    await switchover('patronictl', 'node1', 'node3');
    await writer.ack('on node3', 30_000, (ack) => ack.node === 'node3');
    await expectSameTables();
    await untilTwoStream(mixed.cluster, mixed.node('node3'));
    expect(compareRest(ofPatroni, await answersOf(mixed.node('node3'), 'leader', 'node3'), 'old', used)).toEqual([]);
    expect(unused(used, 'old')).toEqual([]);
    const sinceMs = performance.now();
    await switchover('regentctl', 'node3', 'node1');
    await writer.ack('on node1 again', 30_000, (ack) => ack.node === 'node1' && ack.atMs > sinceMs);
    await mixed.cluster.verify(writer);
    // The leader writes it once it has the lead.
    await mixed.cluster.eventually('both tools show the same history, of two changes', 40_000, async () => {
      const [theirs, ours] = await Promise.all([mixed.patronictl(['history', 'itest']), mixed.regentctl(['history', 'itest'])]);
      const same = ours.stdout === theirs.stdout && ours.stdout.match(/node[13] +\|/g)?.length === 2;
      return same ? { value: true } : { missing: `theirs:\n${theirs.stdout}\nours:\n${ours.stdout}` };
    });
    await expectSameTables();
  });

  test('both tools say the same of living members that run either', async () => {
    const said = ({ code, stdout }: Output) => ({ code, lines: stdout.split('\n').filter((line) => !/^[|+]/.test(line)) });
    const both = async (...args: string[]) => {
      const [theirs, ours] = [said(await mixed.patronictl(args)), said(await mixed.regentctl(args))];
      expect(ours).toEqual(theirs);
      return ours.lines.join('\n');
    };
    expect(await both('reload', 'itest', '--force')).toMatch(/member node1 .*\n.*member node2 .*\n.*member node3/);
    expect(await both('restart', 'itest', 'node2', 'node3', '--force')).toMatch(/^Success: .* node2\nSuccess: .* node3\n$/);
    const later = '2040-01-01T00:00:00+00:00';
    const plan = ['switchover', 'itest', '--leader', 'node1', '--candidate', 'node3', '--scheduled', later, '--force'];
    for (const [plans, flushes] of [['patronictl', 'regentctl'] as const, ['regentctl', 'patronictl'] as const]) {
      expect((await mixed[plans](plan)).stdout).toMatch(/ Switchover scheduled\n/);
      expect(said(await mixed[flushes](['flush', 'itest', 'switchover']))).toEqual({
        code: 0,
        lines: ['Success: scheduled switchover deleted', ''],
      });
    }
    expect(await both('flush', 'itest', 'switchover')).toBe('No pending scheduled switchover\n');
    for (const tool of ['patronictl', 'regentctl'] as const) {
      expect(said(await mixed[tool](['pause', '--wait', 'itest'])).lines.slice(-2)).toEqual(['Success: cluster management is paused', '']);
      expect(said(await mixed[tool](['resume', '--wait', 'itest'])).lines.slice(-2)).toEqual([
        'Success: cluster management is resumed',
        '',
      ]);
    }
    await mixed.waitHealthy('node1');
  });

  /**
   * The member that was down while the last row was written is back when the leader dies. It must
   * leave the lead to one that has the row, whatever either runs.
   */
  test.each([
    { leader: 'node1', behind: 'node3', ahead: 'node2' },
    { leader: 'node2', behind: 'node1', ahead: 'node3' },
  ])('kill -9 of the Patroni leader’s node: $behind lags, and $ahead leads', async ({ leader, behind, ahead }) => {
    expect(await mixed.waitHealthy()).toBe(leader);
    await mixed.killAll(behind);
    const id = Number(behind.at(-1));
    await mixed.node(leader).sql(`insert into writes values (${id})`);
    const has = async (name: string) =>
      (
        await mixed
          .node(name)
          .sql(`select from writes where id = ${id}`)
          .catch(() => [])
      ).length === 1;
    await mixed.cluster.until(`${ahead} has the row`, 20_000, () => has(ahead));
    await mixed.killAll(leader);
    const killedAtMs = performance.now();
    mixed.start(behind);
    expect(await mixed.cluster.waitForLeader({ not: leader })).toBe(ahead);
    console.log(`kill -9 of a Patroni leader’s node, ttl ${TTL}: ${ahead} led after ${Math.round(performance.now() - killedAtMs)} ms`);
    mixed.start(leader);
    await mixed.waitHealthy(ahead);
    await mixed.cluster.until(`${behind} has the row, too`, 20_000, () => has(behind));
  });

  test('synchronous mode: Regent leads, is killed by kill -9, and Patroni takes over without loss', async () => {
    expect(await mixed.waitHealthy()).toBe('node3');
    await setSynchronous();
    await syncIs('node3', 'node1,node2');
    const rows = await expectSameTables();
    expect(rows.map((row) => row[3])).toEqual(['Sync Standby', 'Sync Standby', 'Leader']);
    const writer = mixed.cluster.writer();
    await writer.next();
    const killedAtMs = performance.now();
    await mixed.killAll('node3');
    const successor = await mixed.cluster.waitForLeader({ not: 'node3' });
    const first = await writer.ack('on the successor', 30_000, (ack) => ack.node === successor);
    console.log(`kill -9 of a Regent leader’s node, ttl ${TTL}: ${Math.round(first.atMs - killedAtMs)} ms without a write`);
    mixed.start('node3');
    await mixed.waitHealthy(successor);
    await syncIs(successor, successor === 'node1' ? 'node2,node3' : 'node1,node3');
    await expectSameTables();
    await mixed.cluster.until('node3 reads /sync', 20_000, async () => (await mixed.node('node3').rest('/sync'))?.status === 200);
    await mixed.cluster.verify(writer);
  });

  test('a Regent standby is let go by a leader that runs Patroni before it stops', async () => {
    const leader = await mixed.waitHealthy();
    const ended = mixed.terminate('node3');
    await mixed.cluster.eventually('node3 is let go while its PostgreSQL runs', 30_000, async () => {
      // Asked in this order: what is gone by then must not be counted on afterwards.
      const runs = mixed.node('node3').postmasterPid !== null;
      const listed = (await mixed.sync())?.sync_standby ?? '';
      if (!listed.includes('node3')) return { value: true };
      if (!runs) throw new GivenUp(`PostgreSQL of node3 has stopped, /sync has ${listed}`);
      return { missing: listed };
    });
    await ended;
    mixed.start('node3');
    await mixed.waitHealthy(leader);
  });

  test('synchronous mode: Patroni leads and dies, and only the Regent in its /sync takes over, without loss', async () => {
    const leader = await mixed.waitHealthy();
    const other = leader === 'node1' ? 'node2' : 'node1';
    await mixed.killAll(other);
    await syncIs(leader, 'node3');
    const writer = mixed.cluster.writer();
    await writer.next();
    await mixed.killAll(leader);
    mixed.start(other);
    await writer.ack('on node3', 60_000, (ack) => ack.node === 'node3');
    mixed.start(leader);
    await mixed.waitHealthy('node3');
    await syncIs('node3', 'node1,node2');
    await mixed.cluster.verify(writer);
  });
});
