/** How each fault is inflicted on the cluster, and how it is healed. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readlinkSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { procTable } from '../src/demo/process-table.ts';
import { codeOf } from '../src/support/errors.ts';
import type { ClusterNode } from '../test/integration/support/cluster-node.ts';
import type { Fault, Kind } from './plan.ts';
import { ETCDS, FILLER, GATE, type Stage } from './stage.ts';

/** Whom a fault met, and its end. */
export interface Wound {
  readonly victim: string;
  heal(): Promise<void> | void;
}

interface Case {
  readonly stage: Stage;
  readonly fault: Fault;
}

type Inflict = (on: Case, node: ClusterNode) => Promise<Wound['heal']>;

const SWITCHOVER_MS = 30_000;
const FREEZE_ROUNDS = 5;
const LOAD = 20;
/** Of net.flicker: how long packets are lost, and how long they are not. */
const LOST_MS = 150;
const PASSED_MS = 250;
/** By an hour: somebody set it; by seconds: it had drifted. */
const STEPS_SECONDS = [-3600, -20, -2, 2, 20, 3600];
const SPARED_BYTES = 8 * 1024 ** 2;
const NARROW = ['tbf', 'rate', '256kbit', 'burst', '16kb', 'latency', '300ms'];

const hostsBeside = ({ stage }: Case, node: ClusterNode) => [...peersOf(stage, node), ...ETCDS];
const peersOf = (stage: Stage, node: ClusterNode) => stage.cluster.others(node.name).map(({ name }) => name);
const healNetwork = (stage: Stage) => () => stage.network.heal();

/** Its own, and nobody's later one under the same number. */
function thaw(node: ClusterNode): void {
  for (const { pid } of node.processes()) if (procTable.row(pid)?.state.toUpperCase() === 'T') send(pid, 'SIGCONT');
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

/** What is forked while the list is made shows up in the next one. */
function freeze(node: ClusterNode, isMeant: (pid: number) => boolean): void {
  for (let round = 0; round < FREEZE_ROUNDS; round++) {
    const awake = node.processes().filter(({ pid }) => isMeant(pid) && procTable.row(pid)?.state.toUpperCase() !== 'T');
    if (awake.length === 0) return;
    for (const { pid } of awake) send(pid, 'SIGSTOP');
  }
}

function worksInData(node: ClusterNode, pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === node.dataDir;
  } catch {
    return false;
  }
}

function restartAtHealing({ stage }: Case, node: ClusterNode): Wound['heal'] {
  stage.down.add(node.name);
  return () => {
    stage.down.delete(node.name);
    if (node.agentPid === null) node.start();
  };
}

/** Rules of the hub that come and go until the healing. */
function flicker(on: Case, node: ClusterNode): Wound['heal'] {
  const { network } = on.stage;
  const others = hostsBeside(on, node);
  const stop = new AbortController();
  const { signal } = stop;
  const done = (async () => {
    while (!signal.aborted) {
      network.cut(node.name, ...others);
      await sleep(LOST_MS * (0.5 + on.fault.chance), undefined, { signal });
      network.mend(node.name, ...others);
      await sleep(PASSED_MS, undefined, { signal });
    }
  })().catch(() => undefined);
  return async () => {
    stop.abort();
    await done;
    network.mend(node.name, ...others);
  };
}

/** Full to the last byte, and a new segment of WAL has to be made. */
async function fillDisk(node: ClusterNode): Promise<Wound['heal']> {
  const disk = join(node.place.directory, 'disk');
  const filler = join(disk, FILLER);
  const { bavail, bsize } = statfsSync(disk);
  // The greater part in one call; what is written meanwhile would make a call for all of it fail.
  const most = Math.max(1, bavail * bsize - SPARED_BYTES);
  execFileSync('fallocate', ['-l', String(most), filler], { stdio: 'pipe', timeout: 20_000 });
  const file = openSync(filler, 'a');
  try {
    for (const chunk = Buffer.alloc(1 << 16); ; ) writeSync(file, chunk);
  } catch (error) {
    if (codeOf(error) !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  await node.sql('select pg_switch_wal()', 1000).catch(() => undefined);
  return () => rmSync(filler, { force: true });
}

const ON_MEMBERS: Partial<Record<Kind, Inflict>> = {
  'kill.agent': async (on, node) => {
    const heal = restartAtHealing(on, node);
    await node.killAgent();
    return heal;
  },
  'kill.postmaster': async (_on, node) => {
    await node.killPostmaster();
    return () => undefined;
  },
  'kill.guard': async (_on, node) => {
    await node.killGuard();
    return () => undefined;
  },
  'kill.node': async (on, node) => {
    const heal = restartAtHealing(on, node);
    await node.killAll();
    return heal;
  },
  'freeze.agent': async (_on, node) => {
    await node.freezeAgent();
    return () => thaw(node);
  },
  'freeze.postgres': async (_on, node) => {
    freeze(node, (pid) => worksInData(node, pid));
    return () => thaw(node);
  },
  'freeze.node': async (_on, node) => {
    freeze(node, () => true);
    return () => thaw(node);
  },
  'cut.off': async (on, node) => {
    on.stage.network.cut(node.name, ...hostsBeside(on, node));
    return healNetwork(on.stage);
  },
  'cut.cable': async ({ stage }, node) => {
    stage.network.unplug(node.name);
    return healNetwork(stage);
  },
  'cut.sends-nothing': async (on, node) => {
    for (const host of hostsBeside(on, node)) on.stage.network.cutOneWay(node.name, host);
    return healNetwork(on.stage);
  },
  'cut.hears-nothing': async (on, node) => {
    for (const host of hostsBeside(on, node)) on.stage.network.cutOneWay(host, node.name);
    return healNetwork(on.stage);
  },
  'cut.from-peers': async ({ stage }, node) => {
    stage.network.cut(node.name, ...peersOf(stage, node));
    return healNetwork(stage);
  },
  'cut.from-etcd': async ({ stage }, node) => {
    stage.network.cut(node.name, ...ETCDS);
    return healNetwork(stage);
  },
  'net.flicker': async (on, node) => flicker(on, node),
  'net.narrow': async ({ stage }, node) => shape(stage, node, NARROW),
  'net.loss': async ({ stage, fault }, node) => lose(stage, node, 0.01 + 0.24 * fault.chance),
  'small.loss': async ({ stage }, node) => lose(stage, node, 0.01),
  'small.pause': async (_on, node) => {
    await node.freezeAgent();
    return () => thaw(node);
  },
  'net.jitter': async ({ stage, fault }, node) => {
    const ms = Math.round(20 + 280 * fault.chance);
    return shape(stage, node, ['netem', 'delay', `${ms}ms`, `${Math.round(ms * 0.8)}ms`]);
  },
  'clock.step': async ({ stage, fault }, node) => {
    stage.stepClock(node, STEPS_SECONDS[Math.floor(fault.chance * STEPS_SECONDS.length)]!);
    return () => stage.stepClock(node, 0);
  },
  'disk.full': async (_on, node) => fillDisk(node),
};

function lose(stage: Stage, node: ClusterNode, share: number): Wound['heal'] {
  stage.network.lose(node.name, share);
  return healNetwork(stage);
}

/** Programs that want a core each, and end with this one in any case. */
function burden(): Wound {
  const busy = Array.from({ length: LOAD }, () => spawn('sh', ['-c', 'while [ -d /proc/$PPID ]; do :; done'], { stdio: 'ignore' }));
  const heal = () => {
    for (const child of busy) child.kill('SIGKILL');
  };
  return { victim: 'the machine', heal };
}

function shape(stage: Stage, node: ClusterNode, discipline: readonly string[]): Wound['heal'] {
  stage.network.shape(node.name, discipline);
  return healNetwork(stage);
}

async function onEtcd({ stage, fault }: Case): Promise<Wound> {
  const leader = fault.target === 'leader' ? await stage.etcd.leader().catch(() => null) : null;
  const index = leader ?? Math.floor(fault.chance * ETCDS.length);
  const member = stage.etcd.members[index]!;
  const victim = ETCDS[index]!;
  if (fault.kind === 'etcd.cut') {
    stage.network.cut(victim, ...ETCDS.filter((one) => one !== victim), ...stage.cluster.nodes.map(({ name }) => name));
    return { victim, heal: healNetwork(stage) };
  }
  if (fault.kind === 'etcd.frozen') {
    await member.freeze();
    return { victim, heal: () => member.thaw() };
  }
  await member.kill();
  return { victim, heal: () => member.restart({ wait: false }) };
}

async function onCluster({ stage, fault }: Case): Promise<Wound> {
  if (fault.kind === 'etcd.all') {
    await Promise.all(stage.etcd.members.map((member) => member.kill()));
    const heal = () => Promise.all(stage.etcd.members.map((member) => member.restart({ wait: false }))).then(() => undefined);
    return { victim: 'etcd', heal };
  }
  if (fault.kind === 'small.load') return burden();
  if (fault.kind === 'router.killed') {
    await stage.killSide('router');
    return { victim: 'router', heal: () => stage.startSide('router') };
  }
  if (fault.kind === 'router.cut') {
    stage.network.cut(GATE, ...ETCDS);
    return { victim: 'router', heal: healNetwork(stage) };
  }
  const leader = await stage.cluster.leader();
  if (leader === null) throw new Error('nobody leads');
  const request = { method: 'POST', body: { leader }, timeoutMs: SWITCHOVER_MS };
  const answer = stage.cluster.node(leader).rest('/switchover', request);
  return { victim: leader, heal: async () => void (await answer) };
}

/** `leader`: who leads, or led last. Throws where there is nothing to hurt, say no PostgreSQL. */
export async function inflict(stage: Stage, fault: Fault, leader: string): Promise<Wound> {
  const on = { stage, fault };
  if (fault.kind.startsWith('etcd.') && fault.target !== null) return onEtcd(on);
  const onMember = ON_MEMBERS[fault.kind];
  if (onMember === undefined || fault.target === null) return onCluster(on);
  const others = stage.cluster.others(leader);
  const node = fault.target === 'leader' ? stage.cluster.node(leader) : others[fault.target.replica % others.length]!;
  return { victim: node.name, heal: await onMember(on, node) };
}
