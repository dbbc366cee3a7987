/**
 * The drawn circumstances of a run: size, settings, tags, speed of things, and which faults there
 * are. Swarm style: much is off in any one run.
 */
import type { Tags } from '../../src/core/cluster.ts';
import type { JsonObject, JsonValue } from '../../src/support/json.ts';
import { drawKinds, outsideKinds } from './faults/index.ts';
import type { OutsideOptions } from './outside.ts';
import type { ClientOptions, PlanOptions } from './plan.ts';
import type { Rng } from './rng.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
/** ttl, loop_wait, retry_timeout: the least allowed, the demo's, between, and the defaults. */
const timings = [
  [3, 1, 1],
  [5, 1, 2],
  [10, 2, 3],
  [20, 5, 5],
  [30, 10, 10],
] as const;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/**
 * This share of the runs takes hours with a fault now and then. They show what needs a long calm,
 * or a fault alone.
 */
const LONG_SHARE = 0.01;

/** This share of the runs has a server outside that the cluster may follow. */
const OUTSIDE_SHARE = 0.002;

interface Course {
  readonly timing: readonly [ttl: number, loopWait: number, retryTimeout: number];
  readonly everyMs: number;
  readonly lastsMs: number;
  /** Of the kinds of faults that there are. */
  readonly share: number;
  /** How much longer than usual clients wait between two commits. */
  readonly leisure: number;
  /** Long runs cost less where agents hear from each other less often. */
  readonly suspectAfterMs: number;
}

function drawCourse(rng: Rng): Course {
  if (rng.fork('long').chance(LONG_SHARE)) {
    const timing = rng.pick(timings.slice(2));
    return {
      timing,
      everyMs: rng.between(3, 20) * MINUTE_MS,
      lastsMs: rng.between(2, 5) * HOUR_MS,
      share: 0.6,
      leisure: 5,
      suspectAfterMs: 30_000,
    };
  }
  const timing = rng.pick(timings);
  const factor = timing[0] < 20 ? 1 : 2;
  const lastsMs = rng.pick([20_000, 40_000, 60_000, 120_000]) * factor;
  const suspectAfterMs = rng.fork('suspicion').pick([300, 1000, 1000, 2000]);
  return { timing, everyMs: rng.between(800, 8000) * factor, lastsMs, share: 0.3, leisure: 1, suspectAfterMs };
}

/** `given`: nodes that are not drawn; all that names a node names one of those. */
export function drawOptions(rng: Rng, given?: readonly string[]): PlanOptions {
  const drawn = NAMES.slice(0, rng.pick([2, 3, 3, 3, 4, 5]));
  const nodes = given ?? drawn;
  const { timing, everyMs, lastsMs, share, leisure, suspectAfterMs } = drawCourse(rng);
  const [ttl, loop_wait, retry_timeout] = timing;
  const drift = rng.pick([0, 0.0005, 0.002]);
  const fromMs = rng.chance(0.15) ? 0 : 8000;
  const lease = rng.fork('fence').chance(0.1) && { failover_fence: 'lease' };
  const refusal = rng.fork('refusal').chance(0.4) && { failover_on_refusal: true };
  const failsafe = rng.fork('failsafe').chance(0.4) && { failsafe_mode: true };
  const outside = drawOutside(rng.fork('outside'));
  const timed = { ttl, loop_wait, retry_timeout };
  const config = { ...drawConfig(rng, nodes.length, timed), suspect_after: suspectAfterMs, ...lease, ...refusal, ...failsafe };
  return {
    nodes,
    config,
    tags: drawPriorities(rng.fork('priorities'), nodes, drawTags(rng, nodes)),
    rates: Object.fromEntries(nodes.map((name) => [name, 1 + rng.between(-drift, drift)])),
    etcdRate: 1 + rng.between(-drift, drift),
    delayMs: rng.pick([
      [0.1, 1],
      [0.2, 2],
      [5, 20],
      [0.2, 60],
    ] as const),
    slowness: rng.pick([1, 1, 1, 3]),
    walKeepBytes: rng.pick([1 << 30, 1 << 30, 20_000]),
    rewindMayCheckpoint: rng.fork('rewind user').chance(0.7),
    lastingStreams: rng.fork('streams').chance(0.3),
    relays: rng.fork('relays').chance(0.5),
    old: drawOld(rng.fork('old'), nodes),
    clients: drawClients(rng, nodes, leisure),
    ...(outside && { outside }),
    kinds: outside === null ? drawKinds(rng, share) : [...drawKinds(rng, share / 3), ...outsideKinds],
    everyMs,
    fromMs,
    untilMs: fromMs + lastsMs,
    leftBroken: nodes.length >= 3 && rng.chance(0.2) ? [rng.pick(nodes)] : [],
    leftHow: drawLeftHow(rng, config),
  };
}

/** A cluster of two sites, of which the other is modelled as one server. */
function drawOutside(rng: Rng): OutsideOptions | null {
  if (!rng.chance(OUTSIDE_SHARE)) return null;
  return { first: rng.chance(0.3), everyMs: rng.pick([100, 500, 2000]), ends: rng.chance(0.7) };
}

/** In the middle of an upgrade of the members, one after the other. */
function drawOld(rng: Rng, nodes: readonly string[]): readonly string[] {
  return rng.chance(0.1) ? nodes.filter(() => rng.chance(0.5)) : [];
}

function drawLeftHow(rng: Rng, config: JsonObject): PlanOptions['leftHow'] {
  const how = rng.chance(0.7) ? 'off' : 'deaf';
  if (rng.fork('locked out').chance(0.1)) return 'locked-out';
  // Slots that are not kept beforehand, and cannot be made any more, leave a member without one for
  // good: that is an operator's to mend.
  if (config['member_slots_ttl'] === 0) return how;
  return rng.fork('hindered').chance(0.3) ? 'hindered' : how;
}

function drawConfig(rng: Rng, size: number, timing: JsonObject): JsonObject {
  const mode = rng.pick<JsonValue>(['off', 'on', 'on', 'quorum', 'quorum']);
  const config: Record<string, JsonValue> = { ...timing, synchronous_mode: mode };
  if (mode !== 'off') {
    if (rng.chance(0.3)) config['synchronous_mode_strict'] = true;
    if (size > 2 && rng.chance(0.3)) config['synchronous_node_count'] = rng.int(2, size - 1);
  }
  if (rng.chance(0.2)) config['maximum_lag_on_failover'] = rng.pick([0, 1000, 20_000]);
  if (rng.chance(0.3)) config['primary_start_timeout'] = rng.pick([0, 5, 60]);
  if (rng.chance(0.2)) config['check_timeline'] = true;
  if (mode !== 'off' && rng.chance(0.1)) config['maximum_lag_on_syncnode'] = rng.pick([5000, 50_000]);
  if (rng.chance(0.15)) config['member_slots_ttl'] = rng.pick([0, 20]);
  const postgresql = { ...(rng.chance(0.15) && { use_slots: false }), ...drawMending(rng.fork('mending')) };
  if (Object.keys(postgresql).length > 0) config['postgresql'] = postgresql;
  if (mode !== 'off' && rng.chance(0.15)) config['primary_stop_timeout'] = rng.pick([1, 5]);
  return { ...config, ...drawSeldomSet(rng.fork('seldom set')) };
}

/** What pg_rewind may do, and what a new copy may replace. An operator does the rest (mend.ts). */
function drawMending(rng: Rng): JsonObject {
  if (!rng.chance(0.2)) return {};
  return {
    use_pg_rewind: rng.chance(0.5),
    remove_data_directory_on_rewind_failure: rng.chance(0.5),
    remove_data_directory_on_diverged_timelines: rng.chance(0.5),
  };
}

function drawSeldomSet(rng: Rng): JsonObject {
  return {
    ...(rng.chance(0.15) && { max_timelines_history: rng.int(1, 3) }),
    ...(rng.chance(0.15) && { slots: { archive: { type: 'physical' } } }),
    ...(rng.chance(0.15) && { terminate_strangers: true }),
    ...(rng.fork('backoff').chance(0.05) && { primary_race_backoff: rng.fork('backoff seconds').pick([2, 10, 30]) }),
  };
}

/** One node at least may lead and follows nobody in particular. */
function drawTags(rng: Rng, nodes: readonly string[]): Record<string, Tags> {
  const tags: Record<string, Tags> = {};
  for (const name of nodes.slice(0, -1)) {
    if (!rng.chance(0.2)) continue;
    tags[name] = rng.pick<Tags>([
      { nofailover: true },
      { nosync: true },
      { failover_priority: rng.int(0, 3) },
      { clonefrom: true },
      { sync_priority: rng.int(0, 2) },
      ...(nodes.length > 2 ? [{ replicatefrom: rng.pick(nodes.filter((other) => other !== name)) }] : []),
    ]);
  }
  return tags;
}

/** In some clusters each node that may lead has a place in line. */
function drawPriorities(rng: Rng, nodes: readonly string[], tags: Readonly<Record<string, Tags>>): Record<string, Tags> {
  if (!rng.chance(0.3)) return { ...tags };
  return Object.fromEntries(nodes.map((name) => [name, { failover_priority: rng.int(1, 3), ...tags[name] }]));
}

function drawClients(rng: Rng, nodes: readonly string[], leisure: number): ClientOptions {
  const stubborn = rng.chance(0.5) ? rng.pick(nodes) : null;
  return {
    everyMs: rng.pick([20, 60, 200]) * leisure,
    routed: true,
    haproxy: leisure === 1 && rng.fork('haproxy').chance(0.3),
    stubborn,
    cancels: rng.pick([0, 0, 0, 0.05]),
    local: rng.pick([0, 0, 0, 0.05]),
  };
}
