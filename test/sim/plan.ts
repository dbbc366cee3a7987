/**
 * What a run is made of, as data: drawn from one seed up front, so that it can be printed, kept,
 * shortened and run again. The same plan gives the same run. A fault carries all that was drawn for
 * it; leaving one out changes none of the others.
 */
import type { Tags } from '../../src/core/cluster.ts';
import type { JsonObject } from '../../src/support/json.ts';
import { drawFaults } from './faults/index.ts';
import { drawOptions } from './options.ts';
import type { OutsideOptions } from './outside.ts';
import { Rng } from './rng.ts';

export type FaultArguments = Readonly<Record<string, string | number | boolean>>;

export interface PlannedFault {
  /** True ms since the world began. */
  readonly at: number;
  /** A key of the table in faults/index.ts. */
  readonly kind: string;
  readonly args: FaultArguments;
}

/** Fractions and means, from which the models draw while they run. */
export interface ClientOptions {
  /** Mean ms between two commits of a client. */
  readonly everyMs: number;
  /** A writer that is led to the leader. */
  readonly routed: boolean;
  /** It is led by HAProxy and the real router, not by the leader key itself. */
  readonly haproxy: boolean;
  /** A writer that stays with one node, come what may; null: none. */
  readonly stubborn: string | null;
  /** Share of commits of which the wait for confirmation is cancelled after a while (M2). */
  readonly cancels: number;
  /** Share of commits with synchronous_commit = local (M4). */
  readonly local: number;
}

export interface PlanOptions {
  readonly nodes: readonly string[];
  /** The cluster-wide configuration, as in bootstrap.dcs. */
  readonly config: JsonObject;
  readonly tags: Readonly<Record<string, Tags>>;
  /** Machine milliseconds per true millisecond. */
  readonly rates: Readonly<Record<string, number>>;
  readonly etcdRate: number;
  /** One way, ms. */
  readonly delayMs: readonly [number, number];
  /** How much longer than usual PostgreSQL's work takes. */
  readonly slowness: number;
  /** Segments of WAL a server keeps for nobody in particular, in bytes. */
  readonly walKeepBytes: number;
  /** Members carry the etcd calls of a leader that cannot reach it. */
  readonly relays: boolean;
  /** Nodes that know of no links: an older Regent, or Patroni; missing: none. */
  readonly old?: readonly string[];
  /**
   * PostgreSQL's own wal_sender_timeout and wal_receiver_timeout (Network.lastingStreams), and not
   * much shorter ones.
   */
  readonly lastingStreams: boolean;
  /** The rewind user may order a checkpoint on the leader; missing: it may. */
  readonly rewindMayCheckpoint?: boolean;
  /** A server outside that the cluster may follow; null or missing: none. */
  readonly outside?: OutsideOptions | null;
  readonly clients: ClientOptions;
  /** The kinds of faults that may happen in this run, and how often one does, on average. */
  readonly kinds: readonly string[];
  readonly everyMs: number;
  /** Faults begin and end within these; then everything is mended. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Nodes that stay broken when everything else is mended: the others have to manage. */
  readonly leftBroken: readonly string[];
  /**
   * deaf: all they send arrives, and no answer of etcd reaches them. hindered: they are off, and
   * chores of the others fail for good. full: they are well, but etcd has no room any more, and the
   * leader’s agent is restarted. locked-out: they are off, and no server lets its agent open a new
   * connection. paused: they are off, and the others have paused their replay for good. read-only:
   * they are off, and the disk of one of the others takes nothing any more.
   */
  readonly leftHow: 'off' | 'deaf' | 'hindered' | 'full' | 'locked-out' | 'paused' | 'read-only';
}

export interface Plan {
  readonly seed: number;
  readonly options: PlanOptions;
  readonly faults: readonly PlannedFault[];
}

export type Verdict = 'pass' | 'crash' | 'safety' | 'liveness';

export interface Outcome {
  readonly verdict: Verdict;
  /** Number in docs/SPEC.md of what was violated, such as S1. */
  readonly invariant?: string;
  /** Empty for a pass; for a failure of liveness it says who waits for what, by which rule. */
  readonly message: string;
  /** Of the whole trace. */
  readonly hash: string;
  readonly virtualMs: number;
  readonly events: number;
  /** Commits whose clients were told that they are safe. */
  readonly acknowledged: number;
  /** The last lines of the trace. */
  readonly tail: readonly string[];
}

export function drawPlan(seed: number): Plan {
  const rng = new Rng(seed).fork('plan');
  const options = drawOptions(rng.fork('options'));
  return { seed, options, faults: drawFaults(rng.fork('faults'), options) };
}

/** In a few lines: what is special about this run. */
export function describePlan({ seed, options, faults }: Plan): string {
  const { nodes, config, tags, clients, kinds, everyMs, outside } = options;
  return [
    `seed ${seed}: ${nodes.length} nodes, ${JSON.stringify(config)}`,
    `tags ${JSON.stringify(tags)}, clients ${JSON.stringify(clients)}${outside ? `, outside ${JSON.stringify(outside)}` : ''}`,
    `${faults.length} faults, one every ${everyMs.toFixed(0)} ms, of: ${kinds.join(', ') || 'none'}`,
  ].join('\n');
}
