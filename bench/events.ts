/**
 * Breaks a cluster under its writing client and measures what the client saw. Each event ends with
 * a whole cluster and a client at ease.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureError, RegentError } from '../src/support/errors.ts';
import { exchange } from '../src/support/http.ts';
import type { EventId } from './figures.ts';
import type { Lab } from './lab.ts';
import { nowMs } from './now.ts';
import type { Outage } from './outage.ts';
import { query } from './server.ts';
import type { Timing } from './systems.ts';
import type { Writer } from './writer.ts';

/** The client must have been at ease for so long before the next event, and after this one. */
const CALM_MS = 2000;
const CALM_WITHIN_MS = 30_000;
const RECOVERY_MS = 150_000;
const REJOIN_MS = 180_000;
const ETCD_AWAY_MS = 60_000;
const SWITCHOVER_ANSWER_MS = 120_000;
const CLUSTER_ANSWER_MS = 5000;
const SYNCHRONOUS_WITHIN_MS = 60_000;

export interface Stage {
  readonly lab: Lab;
  readonly writer: Writer;
  readonly timing: Timing;
  readonly signal: AbortSignal;
}

type Event = (stage: Stage, leader: string) => Promise<Outage>;

const EVENTS: Readonly<Record<EventId, Event>> = {
  switchover,
  postmaster: killPostmaster,
  node: killNode,
  'node-20': killNode,
  'node-5': killNode,
  'sync-switchover': switchover,
  'sync-node': killNode,
  'sync-frozen': freezeNode,
  'sync-agent': killAgent,
  'sync-etcd': freezeEtcd,
};

/** Throws when the cluster or the client does not come to itself in time. */
export async function measureEvent(event: EventId, stage: Stage): Promise<Outage & { readonly lost: number }> {
  const { lab, writer, timing, signal } = stage;
  let leader: string | null = null;
  await lab.until('a whole cluster and a client that writes', CALM_WITHIN_MS, async () => {
    leader = await lab.wholeUnder();
    return leader !== null && writer.isCalm(CALM_MS) && (await lab.isRoutedTo(leader));
  });
  // Until then commits wait for nobody, and a replica may not be allowed to take over.
  if (timing.synchronous === true)
    await lab.until('a synchronous standby', SYNCHRONOUS_WITHIN_MS, async () => (await synchronousStandbys(lab, leader!)).length > 0);
  // The moment within the agents' rounds must not be the same in every run.
  await sleep(Math.random() * timing.loopWait * 1000, undefined, { signal });
  const outage = await EVENTS[event](stage, leader!);
  return { ...outage, lost: await countLost(stage) };
}

/** Whole under anybody it accepts, routed there, and the client writing there at ease. */
async function recovered(stage: Stage, sinceMs: number, accepts: (leader: string) => boolean): Promise<void> {
  const { lab, writer } = stage;
  await lab.until('the recovery', RECOVERY_MS, async () => {
    const leader = await lab.wholeUnder();
    if (leader === null || !accepts(leader) || !writer.wroteTo(lab.node(leader).postgresPort, sinceMs)) return false;
    return writer.isCalm(CALM_MS) && (await lab.isRoutedTo(leader));
  });
}

async function switchover(stage: Stage, leader: string): Promise<Outage> {
  const { lab, writer } = stage;
  const candidate = await candidateFor(lab, leader);
  const eventMs = nowMs();
  const answer = requestSwitchover(lab.node(leader).restPort, { leader, candidate });
  await Promise.all([answer, recovered(stage, eventMs, (now) => now === candidate)]);
  return writer.outage(eventMs);
}

/** In a synchronous cluster one that commits wait for, because others may be refused. */
async function candidateFor(lab: Lab, leader: string): Promise<string> {
  const others = lab.plan.nodes.map(({ name }) => name).filter((name) => name !== leader);
  const synchronous = await synchronousStandbys(lab, leader);
  return others.find((name) => synchronous.includes(name)) ?? others[0]!;
}

/** Those that the cluster's own list names so. */
async function synchronousStandbys(lab: Lab, leader: string): Promise<readonly string[]> {
  const answer = await exchange(`http://127.0.0.1:${lab.node(leader).restPort}/cluster`, {}, { timeoutMs: CLUSTER_ANSWER_MS });
  const { members } = JSON.parse(answer.text) as { readonly members: readonly { readonly name: string; readonly role: string }[] };
  return members.filter(({ role }) => role === 'sync_standby' || role === 'quorum_standby').map(({ name }) => name);
}

async function killPostmaster(stage: Stage, leader: string): Promise<Outage> {
  const eventMs = nowMs();
  await stage.lab.killPostmaster(leader);
  await recovered(stage, nowMs(), () => true);
  return stage.writer.outage(eventMs);
}

/**
 * The node comes back only after the client has been served elsewhere; how that feels is not
 * counted.
 */
async function killNode(stage: Stage, leader: string): Promise<Outage> {
  const { lab } = stage;
  const eventMs = nowMs();
  await lab.killNode(leader);
  return succeeded(stage, leader, eventMs, () => void lab.start(leader));
}

async function freezeNode(stage: Stage, leader: string): Promise<Outage> {
  const eventMs = nowMs();
  const thaw = stage.lab.freezeNode(leader);
  return succeeded(stage, leader, eventMs, thaw).finally(thaw);
}

async function killAgent(stage: Stage, leader: string): Promise<Outage> {
  const { lab } = stage;
  const eventMs = nowMs();
  lab.killAgent(leader);
  return succeeded(stage, leader, eventMs, () => void lab.start(leader));
}

/** Another leads, and the client is at ease there; then what was broken comes back. */
async function succeeded({ lab, writer }: Stage, old: string, eventMs: number, mend: () => void): Promise<Outage> {
  const brokenMs = nowMs();
  await lab.until('another leader that the client can write to', RECOVERY_MS, async () => {
    const now = await lab.leader();
    return now !== null && now !== old && writer.wroteTo(lab.node(now).postgresPort, brokenMs) && writer.isCalm(CALM_MS);
  });
  const outage = writer.outage(eventMs);
  mend();
  await lab.until(`${old} streaming again`, REJOIN_MS, async () => {
    const now = await lab.wholeUnder();
    return now !== null && (await lab.isRoutedTo(now));
  });
  return outage;
}

/** Whoever leads afterwards. */
async function freezeEtcd(stage: Stage): Promise<Outage> {
  const { lab, writer, signal } = stage;
  const eventMs = nowMs();
  const thaw = lab.freezeEtcd();
  try {
    await sleep(ETCD_AWAY_MS, undefined, { signal });
  } finally {
    thaw();
  }
  await recovered(stage, nowMs(), () => true);
  return writer.outage(eventMs);
}

/** Rows that were acknowledged and are gone, each counted once. */
async function countLost({ lab, writer }: Stage): Promise<number> {
  const leader = await lab.leader();
  if (leader === null) throw new RegentError('BENCH_EVENT', 'nobody leads after all', { policy: 'transient' });
  const expected = writer.acknowledged();
  const rows = await query<{ id: string }>(lab.node(leader).postgresPort, 'select id from writes');
  const present = new Set(rows.map((row) => Number(row.id)));
  return writer.markLost(expected.filter((id) => !present.has(id)));
}

async function requestSwitchover(port: number, body: { readonly leader: string; readonly candidate: string }): Promise<void> {
  const refused = (why: string) => new RegentError('BENCH_EVENT', `the switchover was refused: ${why}`, { policy: 'transient' });
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await exchange(`http://127.0.0.1:${port}/switchover`, request, { timeoutMs: SWITCHOVER_ANSWER_MS }).catch(
    (error: unknown) => {
      throw refused(ensureError(error).message);
    },
  );
  if (answer.status !== 200) throw refused(`${answer.status} ${answer.text.trim()}`);
}
