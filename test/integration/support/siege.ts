/**
 * Clients that write straight to every node, so that nothing but the lease and the guard keeps an
 * old primary from acknowledging.
 */
import { expect } from 'vitest';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Writer } from './writer.ts';

export interface Siege {
  readonly old: ClusterNode;
  readonly writers: readonly Writer[];
  /** Waits until another node takes writes; returns its name. */
  successor(): Promise<string>;
  /**
   * Throws unless the last acknowledgement of the old primary came before the first of any other
   * node.
   */
  noOverlap(): Promise<void>;
}

/** A writer straight to every node, the leader's at work. */
export async function besiege(cluster: Cluster): Promise<Siege> {
  const old = cluster.node(await cluster.waitHealthy());
  const writers = cluster.nodes.map((node) => cluster.writer({ only: node.name }));
  await writers[cluster.nodes.indexOf(old)]!.next();
  return {
    old,
    writers,
    async successor() {
      const others = writers.filter((_, i) => cluster.nodes[i] !== old);
      const first = await Promise.race(others.map((writer) => writer.ack('on a successor', 40_000, () => true))).catch(
        async (error: Error) => {
          throw new Error(`${error.message}\n${await cluster.describe()}`);
        },
      );
      return first.node;
    },
    async noOverlap() {
      await Promise.all(writers.map((writer) => writer.stop()));
      const acks = writers.flatMap((writer) => writer.acks);
      const lastOld = Math.max(...acks.filter((ack) => ack.node === old.name).map((ack) => ack.atMs));
      const firstNew = Math.min(...acks.filter((ack) => ack.node !== old.name).map((ack) => ack.atMs));
      console.log(`last write on the old primary ${Math.round(firstNew - lastOld)} ms before the first on the new`);
      expect(lastOld).toBeLessThan(firstNew);
    },
  };
}

/** Shorter than any lease of these tests, longer than a busy machine keeps a write. */
const LEASE_MS = 4000;

/** For a writer that must not see an error: a stall of a busy machine is none. */
export const PATIENT = { patienceMs: 30_000 };

/**
 * Nothing happened that clients notice: nobody was refused or cut off, and nobody had to wait for
 * as long as a lease lasts.
 */
export function undisturbed(writer: Writer, sinceMs?: number): void {
  expect(writer.errors).toEqual([]);
  expect(writer.longestGapMs(sinceMs)).toBeLessThan(LEASE_MS);
}

/** A busy machine takes seconds to start an agent. */
const RESTART_TTL_SECONDS = 9;

/**
 * The leader's agent is killed and started again in time: PostgreSQL is not touched, and no client
 * notices. `ttlSeconds`: of the cluster, before and after.
 */
export async function agentRestartsUnnoticed(cluster: Cluster, leader: ClusterNode, ttlSeconds: number): Promise<void> {
  await cluster.configure({ ttl: RESTART_TTL_SECONDS });
  await cluster.until('the lease is a longer one', 20_000, async () => (await cluster.leaseSeconds()) === RESTART_TTL_SECONDS);
  const pid = leader.postmasterPid;
  const writer = cluster.writer({ only: leader.name, ...PATIENT });
  await writer.next();
  const killedAtMs = performance.now();
  await leader.killAgent();
  leader.start();
  // Past the end of the lease that the killed agent held, and of the deadline it had left with the
  // guard.
  await writer.ack('past the old lease', 30_000, (ack) => ack.atMs > killedAtMs + (RESTART_TTL_SECONDS + 1) * 1000);
  expect(await cluster.waitHealthy()).toBe(leader.name);
  expect(leader.postmasterPid).toBe(pid);
  await writer.stop();
  expect(writer.errors).toEqual([]);
  await cluster.configure({ ttl: ttlSeconds });
}
