/**
 * What it means to make a cluster a standby cluster, to point it elsewhere, or to make it take
 * writes again. Said on standard error before the question: patronictl's words stay as they are.
 */
import { bracketed } from '../config/hostport.ts';
import { readStandbyCluster } from '../config/standby-cluster.ts';
import type { ClusterView } from '../core/cluster.ts';
import { isStandbyCluster } from '../core/cluster-modes.ts';
import { promoteCluster } from '../core/operator-commands.ts';
import type { Endpoint } from '../core/settings.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { shellWord } from '../support/shell-words.ts';
import type { Ctx } from './context.ts';
import { dynamicOf } from './dynamic-of.ts';
import { logicalNames } from './slot-warnings.ts';

const REACH_MS = 900;
const IDENTIFY_MS = 3000;

/** `standby_cluster` before the change, and after it. */
export interface StandbyChange {
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

const nameOf = ({ host, port }: Endpoint) => `${bracketed(host)}:${port}`;

function endpointsOf(value: JsonValue | undefined): readonly Endpoint[] {
  return readStandbyCluster(value).settings?.endpoints ?? [];
}

/** `10.0.0.9:5432`; `its archive` where nothing else is named. */
export const followed = (value: JsonValue | undefined): string => endpointsOf(value).map(nameOf).join(', ') || 'its archive';

/** Empty: the cluster stays what it is, and follows what it follows. */
export async function standbyWarnings(ctx: Ctx, view: ClusterView, { before, after }: StandbyChange): Promise<readonly string[]> {
  const [was, will] = [isStandbyCluster(before), isStandbyCluster(after)];
  if (was && !will) {
    const other = endpointsOf(before).length === 0 ? 'the cluster that it came from' : followed(before);
    return [
      `this cluster takes writes afterwards, and nothing here keeps ${other} from taking them too: let clients write to one of the two only`,
      ...lostSlots(view, will),
    ];
  }
  if (!will || (was && followed(before) === followed(after))) return [];
  const where = followed(after);
  const leader = view.leader?.name ?? 'the leader';
  const lines = was
    ? [
        `this cluster follows ${where} from then on, and no longer ${followed(before)}: what ${where} does not have may be rewound away here`,
      ]
    : [
        `this cluster stops taking writes: ${leader} becomes the standby leader of ${where}, and its clients can only read`,
        `commits here that ${where} does not have may be rewound away: let it have them first, or stop the writers and compare`,
        ...lostSlots(view, will),
      ];
  return [...lines, ...(await Promise.all(endpointsOf(after).map((endpoint) => doubtsOf(ctx, view, endpoint)))).flat()];
}

/** Empty: no consumer misses anything by the change. */
function lostSlots(view: ClusterView, will: boolean): readonly string[] {
  const { slots, slotsElsewhere } = dynamicOf(view);
  const logical = logicalNames(will ? slots : slotsElsewhere);
  if (logical.length === 0) return [];
  const names = logical.join(', ');
  return [
    will
      ? `logical slots are dropped, because a standby cluster keeps none: ${names}; their consumers miss what is written until the cluster is promoted`
      : `logical slots are created again: ${names}; their consumers miss what was written while this was a standby cluster`,
  ];
}

/** A server that no node could follow. Seen from here, which the nodes need not see alike. */
async function doubtsOf(ctx: Ctx, view: ClusterView, endpoint: Endpoint): Promise<readonly string[]> {
  // A directory of sockets is each node's own.
  if (endpoint.host.startsWith('/')) return [];
  const name = nameOf(endpoint);
  const silent = await ctx.io.reach(endpoint, REACH_MS);
  if (silent !== null) return [`seen from here ${name} ${silent}: without it this cluster has nothing to follow`];
  const { initialize } = view;
  if (!initialize) return [];
  const { replication, superuser } = await ctx.config();
  const credentials = replication ?? superuser;
  const unchecked = `whether ${name} has the data of this cluster (system identifier ${initialize}) was not checked`;
  if (credentials === null) return [`${unchecked}: the configuration of this tool names no replication user`];
  const told = await ctx.io.identify(endpoint, credentials, IDENTIFY_MS);
  if ('unknown' in told) return [`${unchecked}: ${told.unknown}`];
  if (told.systemIdentifier === initialize) return [];
  return [`${name} is another cluster (system identifier ${told.systemIdentifier}, here ${initialize}): this one cannot follow it`];
}

export const toTakeWrites = (ctx: Ctx, cluster: string): string =>
  `To have it take writes: ${promoteCluster(shellWord(cluster), ctx.called)}`;

/** Null: it is none, now. */
export function wayBack(ctx: Ctx, cluster: string, config: JsonObject): string | null {
  if (!isStandbyCluster(config['standby_cluster'])) return null;
  return `${cluster} takes no writes as long as it is a standby cluster. ${toTakeWrites(ctx, cluster)}`;
}
