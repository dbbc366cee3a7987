/**
 * The end of a run with a server outside: the cluster follows it, once all is well, and is then
 * made to lead in its place.
 */
import { isDeepStrictEqual } from 'node:util';
import { mayLead } from '../../src/core/cluster.ts';
import { isTwin } from '../../src/core/race/positions.ts';
import { nobodyMayLead } from './electable.ts';
import { isDrained, OUTSIDE } from './faults/outside.ts';
import type { Machine } from './machine.ts';
import { ASKS_FOR_COPY, boundsOf } from './mend.ts';
import type { SimServer } from './server.ts';
import { isPrefix } from './wal.ts';
import type { World } from './world.ts';

/** For its start, its promotion and the checkpoint after that. */
const READY_MS = 60_000;
const DRAIN_MS = 30_000;
const SETTLED_MS = 10_000;

export interface Switched {
  /** What the cluster does not do although nothing hinders it; null: nothing. */
  readonly failed: string | null;
  /** It had all that was written outside, and was then to lead. */
  readonly drained: boolean;
}

const leadsAsBefore: Switched = { failed: null, drained: false };

export async function switchSites(world: World): Promise<Switched> {
  const { outside, sim } = world;
  if (outside === null || !outside.options.ends) return leadsAsBefore;
  const until = (done: () => boolean, ms: number) => sim.until(() => world.checkers.violations.length > 0 || done(), ms);
  const end = (switched: Switched): Switched => {
    if (switched.failed === null && world.orders.followsRemote) world.patchConfig({ standby_cluster: null });
    return switched;
  };
  world.net.join(OUTSIDE);
  outside.mend();
  const isReady = () => outside.isPrimaryOf(world.etcd.get('initialize')?.value);
  if (!(await until(isReady, READY_MS)) || !isReady()) return end(leadsAsBefore);
  if (!followsIt(world)) world.patchConfig({ standby_cluster: { host: OUTSIDE } });
  const { leaderMs, allMs } = boundsOf(world);
  await until(() => world.followsOutside(), leaderMs + allMs);
  // What the agents have in mind from before may come to pass yet.
  await until(() => false, SETTLED_MS);
  const follows = await until(() => world.followsOutside(), allMs);
  if (world.checkers.violations.length > 0) return leadsAsBefore;
  if (!follows) return isForOperator(world) ? end(leadsAsBefore) : { failed: 'not all nodes follow the server outside', drained: false };
  outside.stop();
  const drained = await until(() => outside.server.process === null && isDrained(world), DRAIN_MS);
  return drained ? end({ failed: null, drained }) : { failed: 'the cluster lacks what was written outside', drained };
}

/** And not some other server, which is not there. */
const followsIt = ({ etcd }: World): boolean => isDeepStrictEqual(etcd.view().config?.data['standby_cluster'], { host: OUTSIDE });

/** Nobody may lead; or who leads waits for an operator, and nobody else could in its place. */
function isForOperator(world: World): boolean {
  const { machines, keyHolder: leader, outside } = world;
  if (leader === null) return nobodyMayLead(world);
  const waits = ASKS_FOR_COPY.test(leader.agent?.rounds.last?.decision.rule ?? '') || leader.server.replication.obstacle === 'wal removed';
  const fits = ({ server, tags }: Machine) =>
    server.running &&
    mayLead(tags) &&
    outside !== null &&
    isPrefix(server.position, outside.server.position) &&
    !isTwinOfLeader(world, server) &&
    hasVotes(world, server);
  return waits && !machines.some((machine) => machine !== leader && fits(machine));
}

/** What was acknowledged on the leader's timeline is not there: only an operator gives that up. */
const isTwinOfLeader = ({ etcd }: World, { position: { branch } }: SimServer): boolean => isTwin(etcd.view(), branch);

/**
 * /sync stands until the leader streams from outside; nobody leads without the votes of those who
 * have no more than it has.
 */
function hasVotes({ etcd, machines }: World, { position }: SimServer): boolean {
  const { sync } = etcd.view();
  if (sync === null || sync.leader === null) return true;
  const voters = [sync.leader, ...sync.standbys];
  const votes = machines.filter(({ name, server }) => voters.includes(name) && isPrefix(server.position, position));
  return votes.length > sync.quorum;
}
