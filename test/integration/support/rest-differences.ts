/**
 * Where Regent's REST API differs from Patroni's, and why: docs/compatibility.md has the same table
 * in words. A difference that is not here fails the test, and so does a row that no longer differs.
 */
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';
import { type Answer, ask, differences, type Request, requestsTo } from './rest-requests.ts';

/** `old`: before Patroni 4. */
type Age = 'old' | 'new';

export interface Allowed {
  readonly what: RegExp;
  readonly beside?: Age;
  readonly because: string;
}

const ALLOWED: readonly Allowed[] = [
  { what: /^GET .*: adds regent$/, because: 'Everything that Patroni does not say is in this one key.' },
  { what: /^GET \/metrics: adds "(?:# TYPE )?regent_/, because: 'Figures of its own have names of their own.' },
  {
    what: /^GET \/metrics: adds "(?:# TYPE )?patroni_(?:failsafe_mode_enabled|failsafe_member|failover_priority)\b/,
    because: 'Patroni has them in a release after this one.',
  },
  {
    what: /^POST \/restart .*: text\/plain instead of text\/html$/,
    because: 'The sentence repeats words of the caller, and no browser is to run them.',
  },
  { what: /: role is "primary" instead of "master"$/, beside: 'old', because: 'Patroni says so since 4.0.' },
  { what: /^GET .*: adds (?:replication_state|patroni\.name)$/, beside: 'old', because: 'Patroni says so since 3.1.' },
  {
    what: /^GET \/cluster: (?:adds (?:scope|members\[\]\.(?:receive_|replay_)?(?:lsn|lag))|members\[\]\.state is "streaming" instead of "running")$/,
    beside: 'old',
    because: 'Patroni says so in later releases.',
  },
  { what: /^GET \/metrics: (?:adds|lacks) /, beside: 'old', because: 'Patroni labels them with the name too since 3.1, and has more.' },
  {
    what: /^POST \/failover .*: (?:adds "Failover can't be scheduled"|lacks "Scheduled failover is possible only from a specific leader")$/,
    beside: 'old',
    because: 'The text of later releases.',
  },
  {
    what: /^POST \/restart .*: (?:adds|lacks) "PostgreSQL role should be either primary/,
    beside: 'old',
    because: 'The text of later releases, which know standby leaders here.',
  },
  {
    what: /^POST \/switchover .*: 400 instead of 503$/,
    beside: 'old',
    because: 'Later releases refuse a switchover to the leader itself at once, with a sentence.',
  },
];

export interface Answered {
  readonly requests: readonly Request[];
  readonly answers: readonly Answer[];
}

export async function answersOf(node: ClusterNode, role: 'leader' | 'replica', leader: string): Promise<Answered> {
  const requests = requestsTo(role, leader);
  const answers: Answer[] = [];
  for (const request of requests) answers.push(await ask(node, request));
  return { requests, answers };
}

/**
 * A member answers with what its last round saw, and Patroni reads `/sync` once a loop: what is to
 * be compared waits until every one of them says it.
 */
const untilShown = (cluster: Cluster, nodes: readonly ClusterNode[], what: string, shown: (body: ShownBody) => boolean) =>
  cluster.eventually(`GET /patroni of ${nodes.map(({ name }) => name).join(' and ')} shows ${what}`, 40_000, async () => {
    const bodies = await Promise.all(nodes.map((node) => ask(node, ['GET /patroni'])));
    const fits = bodies.every(({ body }) => shown(JSON.parse(body) as ShownBody));
    return fits ? { value: true } : { missing: bodies.map(({ body }) => body).join('\n') };
  });

interface ShownBody {
  readonly quorum_standby?: boolean;
  readonly replication?: readonly { readonly state: string }[];
}

/** Both others stream from this leader. */
export const untilTwoStream = (cluster: Cluster, leader: ClusterNode) =>
  untilShown(
    cluster,
    [leader],
    'two streams',
    ({ replication = [] }) => replication.length === 2 && replication.every(({ state }) => state === 'streaming'),
  );

/** Each of these replicas has a vote. */
export const untilVotersShow = (cluster: Cluster, replicas: readonly ClusterNode[]) =>
  untilShown(cluster, replicas, 'a vote', ({ quorum_standby }) => quorum_standby === true);

/** Sentences that no row allows. `used` gets the rows that were needed. */
export function compareRest(patroni: Answered, regent: Answered, age: Age, used: Set<Allowed>): string[] {
  const found = patroni.requests.flatMap((request, i) => differences(request, patroni.answers[i]!, regent.answers[i]!));
  return found.filter((difference) => {
    const rows = ALLOWED.filter(({ what, beside }) => what.test(difference) && (beside === undefined || beside === age));
    for (const row of rows) used.add(row);
    return rows.length === 0;
  });
}

export const unused = (used: ReadonlySet<Allowed>, age: Age): string[] =>
  ALLOWED.filter((row) => !used.has(row) && (row.beside === undefined || row.beside === age)).map(({ what }) => String(what));
