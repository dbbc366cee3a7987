/**
 * The newest Patroni that Debian packages, and Regent: a whole cluster goes from one to the other
 * node by node under a writing client, works with both in it, and goes back.
 */
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { patroniOf } from '../../tools/suite/releases/find.ts';
import { mendAfterFailure } from './support/mend.ts';
import { type MixedCluster, type Program, startMixed } from './support/patroni.ts';
import { type Allowed, answersOf, compareRest, untilTwoStream, untilVotersShow, unused } from './support/rest-differences.ts';

const newest = patroniOf('newest');
const NAMES = ['node1', 'node2', 'node3'] as const;
let mixed: MixedCluster;

beforeAll(async () => {
  if ('missing' in newest) return;
  // What Patroni 4 takes as it is written: a ttl of 20 s, a retry_timeout of 3 s.
  const dynamic = {
    ttl: 20,
    loop_wait: 1,
    retry_timeout: 3,
    failsafe_mode: true,
    synchronous_mode: 'quorum',
    postgresql: { parameters: { wal_level: 'logical', wal_retrieve_retry_interval: '100ms' } },
  };
  mixed = await startMixed({ programs: ['patroni', 'patroni', 'patroni'], release: newest, dynamic });
});
afterAll(() => mixed?.close());
mendAfterFailure(() => mixed);

/** A test that is left out says why. */
function needsPatroni(context: TestContext): void {
  if ('missing' in newest) context.skip(newest.missing);
}

const postmasters = () => mixed.cluster.nodes.map((node) => node.postmasterPid);

/**
 * Each in a pause of its own, as docs/patroni.md says, under a writing client: PostgreSQL is not
 * restarted, the leader stays, and no acknowledged write is lost.
 */
async function handOver(names: readonly string[], to: Program): Promise<void> {
  const leader = await mixed.waitHealthy();
  const before = postmasters();
  const writer = mixed.cluster.writer();
  await writer.next();
  const begunAtMs = performance.now();
  for (const [i, name] of names.entries()) await mixed.handOver([name], to, i % 2 === 0 ? 'patronictl' : 'regentctl');
  await writer.next();
  expect(await mixed.cluster.waitForLeader()).toBe(leader);
  expect(postmasters()).toEqual(before);
  const [tookMs, gapMs] = [performance.now() - begunAtMs, writer.longestGapMs(begunAtMs)].map(Math.round);
  await mixed.cluster.verify(writer);
  console.log(`${names.join(', ')} to ${to}: ${tookMs} ms, at most ${gapMs} ms between two writes`);
}

/** The replicas first, the leader last. */
async function migrate(to: Program): Promise<void> {
  const leader = await mixed.waitHealthy();
  const names = [...NAMES.filter((one) => one !== leader), leader];
  await handOver(
    names.filter((name) => mixed.programOf(name) !== to),
    to,
  );
}

async function switchover(tool: 'patronictl' | 'regentctl', candidate: string): Promise<void> {
  const leader = await mixed.waitHealthy();
  // A member that has no vote yet is refused.
  await votersAre(leader);
  const writer = mixed.cluster.writer();
  await writer.next();
  const printed = await mixed.mustRun(tool, ['switchover', 'itest', '--leader', leader, '--candidate', candidate, '--force']);
  expect(printed).toContain(`Successfully switched over to "${candidate}"`);
  await writer.ack(`on ${candidate}`, 30_000, (ack) => ack.node === candidate);
  await mixed.waitHealthy(candidate);
  await mixed.cluster.verify(writer);
}

/** Every member but the leader has a vote in `/sync`. */
const votersAre = (leader: string) =>
  mixed.cluster.eventually(`/sync names all but ${leader}`, 40_000, async () => {
    const sync = await mixed.sync();
    const wanted = NAMES.filter((name) => name !== leader).join();
    return sync?.leader === leader && sync.sync_standby === wanted && sync.quorum === 1
      ? { value: true }
      : { missing: JSON.stringify(sync) };
  });

/** Kills the leader's node. Whoever may lead then has all that was acknowledged. */
async function failOver(): Promise<void> {
  const leader = await mixed.waitHealthy();
  await votersAre(leader);
  const writer = mixed.cluster.writer();
  await writer.next();
  await mixed.killAll(leader);
  const successor = await mixed.cluster.waitForLeader({ not: leader, timeoutMs: 90_000 });
  await writer.ack('on the successor', 30_000, (ack) => ack.node === successor);
  mixed.start(leader);
  await mixed.waitHealthy(successor);
  await mixed.cluster.verify(writer);
}

/** Rows that the permanent logical slot gives on this node: none is given there a second time. */
async function fed(name: string): Promise<number[]> {
  const rows = await mixed.node(name).sql<{ data: string }>("select data from pg_logical_slot_get_changes('feed', null, null)");
  return rows.flatMap(({ data }) => {
    const id = /^table public\.writes: INSERT: id\[bigint\]:(\d+)/.exec(data)?.[1];
    return id === undefined ? [] : [Number(id)];
  });
}

/** The members restart one after another to take a copy. */
const haveSlot = (wanted: boolean) =>
  mixed.cluster.until(`the logical slot is ${wanted ? '' : 'not '}on every node`, 60_000, async () => {
    const found = await Promise.all(
      NAMES.map((name) =>
        mixed
          .node(name)
          .sql("select from pg_replication_slots where slot_name = 'feed'")
          .catch(() => null),
      ),
    );
    return found.every((rows) => rows?.length === Number(wanted));
  });

test('one node of Regent in a cluster of Patroni: its REST API is Patroni’s; switchover to it and back, and a logical slot with it', async (context) => {
  needsPatroni(context);
  expect(await mixed.waitHealthy()).toBe('node1');
  await votersAre('node1');
  await handOver(['node3'], 'regent');
  const edit = (...pairs: readonly string[]) =>
    mixed.mustRun('patronictl', ['edit-config', 'itest', ...pairs.flatMap((pair) => ['-s', pair]), '--force']);
  await edit('slots.feed.type=logical', 'slots.feed.database=postgres', 'slots.feed.plugin=test_decoding');
  await haveSlot(true);
  await mixed.waitHealthy('node1');
  await votersAre('node1');
  const answers = (name: string, role: 'leader' | 'replica', leader: string) => answersOf(mixed.node(name), role, leader);
  const used = new Set<Allowed>();
  await untilVotersShow(mixed.cluster, [mixed.node('node2'), mixed.node('node3')]);
  expect(compareRest(await answers('node2', 'replica', 'node1'), await answers('node3', 'replica', 'node1'), 'new', used)).toEqual([]);
  await untilTwoStream(mixed.cluster, mixed.node('node1'));
  const ofPatroni = await answers('node1', 'leader', 'node1');
  const writer = mixed.cluster.writer();
  await writer.next();
  const seen = new Set(await fed('node1'));
  await switchover('regentctl', 'node3');
  for (const id of await fed('node3')) seen.add(id);
  await votersAre('node3');
  await haveSlot(true);
  await untilTwoStream(mixed.cluster, mixed.node('node3'));
  expect(compareRest(ofPatroni, await answers('node3', 'leader', 'node3'), 'new', used)).toEqual([]);
  expect(unused(used, 'new')).toEqual([]);
  await switchover('patronictl', 'node1');
  await writer.next();
  await writer.stop();
  for (const id of await fed('node1')) seen.add(id);
  expect(writer.acks.filter(({ id }) => !seen.has(id))).toEqual([]);
  await edit('slots=null');
  await haveSlot(false);
});

test('the node of a Patroni leader is killed in quorum mode: nothing that was acknowledged is lost', async (context) => {
  needsPatroni(context);
  await failOver();
});

test('the rest goes to Regent, one node after another, under a writing client', async (context) => {
  needsPatroni(context);
  await migrate('regent');
});

test('one node of Patroni in a cluster of Regent: killed leader, switchover both ways', async (context) => {
  needsPatroni(context);
  await handOver(['node2'], 'patroni');
  if ((await mixed.waitHealthy()) === 'node2') await switchover('patronictl', 'node3');
  await failOver();
  if ((await mixed.waitHealthy()) !== 'node2') await switchover('regentctl', 'node2');
  await switchover('patronictl', 'node1');
});

test('reinit of a node of either, from a leader of the other', async (context) => {
  needsPatroni(context);
  const leader = await mixed.waitHealthy();
  for (const [tool, name] of [
    ['patronictl', 'node3'],
    ['regentctl', 'node2'],
  ] as const) {
    const before = mixed.node(name).postmasterPid;
    await mixed.mustRun(tool, ['reinit', 'itest', name, '--force', '--wait']);
    await mixed.waitHealthy(leader);
    expect(mixed.node(name).postmasterPid).not.toBe(before);
  }
});

test('all of etcd is stopped for longer than a lease, and the leader goes on by the word of both', async (context) => {
  needsPatroni(context);
  const leader = await mixed.waitHealthy();
  await votersAre(leader);
  const { etcd } = mixed.cluster;
  const writer = mixed.cluster.writer({ patienceMs: 5000 });
  await writer.next();
  await Promise.all(etcd.members.map((member) => member.kill()));
  const stoppedAtMs = performance.now();
  await writer.ack('past the lease', 60_000, ({ atMs }) => atMs > stoppedAtMs + 26_000);
  await Promise.all(etcd.members.map((member) => member.restart()));
  expect(await mixed.waitHealthy()).toBe(leader);
  await mixed.cluster.verify(writer);
});

test('and back to Patroni, one node after another, under a writing client', async (context) => {
  needsPatroni(context);
  await migrate('patroni');
});
