import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { createEtcdDcs } from '../../src/adapters/etcd/store.ts';
import type { Dcs } from '../../src/ports/dcs.ts';
import { askHaproxy, createHaproxy, type Haproxy, parseStat } from '../../src/router/haproxy-socket.ts';
import { createRouter, type Router } from '../../src/router/router.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { type HaproxyStage, startHaproxyStage } from './support/haproxy.ts';

const clock = createSystemClock();
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warning: quiet, error: quiet, critical: quiet };
const call = { timeoutMs: 5000 };

let etcd: EtcdCluster;
let stage: HaproxyStage;
let dcs: Dcs;
let haproxy: Haproxy;
let lease: string;
let router: Router | null = null;
let program: ChildProcess | null = null;

async function until<T>(what: string, probe: () => T | Promise<T>, timeoutMs = 15_000): Promise<NonNullable<T>> {
  for (const end = performance.now() + timeoutMs; ; ) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const record = (name: string, role: string, state = 'running') =>
  dcs.putMember(name, { conn_url: `postgres://${name}:5432/postgres`, api_url: `http://${name}:8008/patroni`, role, state }, lease, call);

/** What the checks see follows what etcd says, as it does with real agents. */
async function promote(name: string): Promise<void> {
  stage.members[name]!.status = 200;
  expect(await dcs.acquireLeader(name, lease, call)).toBe(true);
  await record(name, 'primary');
}

async function demote(name: string): Promise<void> {
  stage.members[name]!.status = 503;
  await stage.members[name]!.stop();
  expect(await dcs.releaseLeader(name, call)).toBe(true);
  await record(name, 'replica');
}

const upServers = async () => (await haproxy.state()).filter(({ up }) => up).map(({ name }) => name);
const routedTo = (name: string) => until(`only ${name} is up`, async () => (await upServers()).join() === name);

function startRouter(): void {
  router = createRouter({ dcs, haproxy, clock, log, assertMs: 10_000, reconcileMs: 1000 });
  router.start();
}

beforeAll(async () => {
  etcd = await startEtcd({ members: 1 });
});

beforeEach(async () => {
  stage = await startHaproxyStage(['a', 'b'], 'inter 3s fastinter 3s downinter 3s rise 1 fall 2');
  const settings = {
    endpoints: etcd.endpoints,
    username: null,
    password: null,
    cacert: null,
    cert: null,
    key: null,
    discover: false,
    srv: null,
    srvSuffix: null,
  };
  dcs = createEtcdDcs({ settings, scope: 'routed', namespace: 'service', log, clock });
  haproxy = createHaproxy({ socketPath: stage.socketPath, backend: 'postgres_primary', clock, timeoutMs: 1000 });
  await until('HAProxy answers', () => haproxy.state().catch(() => null));
  await dcs.removeCluster(call);
  lease = await dcs.grantLease(60, call);
  await promote('a');
  await record('b', 'replica');
});

afterEach(async () => {
  await router?.stop();
  router = null;
  if (program && program.exitCode === null && program.signalCode === null) {
    const gone = new Promise((resolve) => program?.once('exit', resolve));
    program.kill('SIGKILL');
    await gone;
  }
  program = null;
  await dcs.revokeLease(lease, call);
  dcs.close();
  await stage.close();
});

afterAll(async () => {
  await etcd.close();
});

describe('regent router', () => {
  it('moves clients to the new primary in milliseconds', async () => {
    startRouter();
    await routedTo('a');
    const old = stage.visit();
    expect(await old.name).toBe('a');
    await demote('a');
    await old.closed;
    const began = performance.now();
    await promote('b');
    const written = performance.now();
    await routedTo('b');
    const visitor = stage.visit();
    expect(await visitor.name).toBe('b');
    const landed = performance.now();
    console.log(
      `router: first connection ${(landed - began).toFixed(1)} ms after the leader key was asked for, ${(landed - written).toFixed(1)} ms after the record`,
    );
    visitor.leave();
  });

  it('brings clients that come in between to the new primary without an error', async () => {
    startRouter();
    await routedTo('a');
    await demote('a');
    const waiting = [stage.visit(), stage.visit(), stage.visit()];
    await until('HAProxy was refused', async () => (await refusals()) >= waiting.length);
    const began = performance.now();
    await promote('b');
    expect(await Promise.all(waiting.map((one) => one.name))).toEqual(['b', 'b', 'b']);
    console.log(`router: clients that were waiting, ${(performance.now() - began).toFixed(1)} ms`);
    for (const one of waiting) one.leave();
  });

  it('cuts the sessions of a demoted server that does not end them itself', async () => {
    startRouter();
    await routedTo('a');
    const old = stage.visit();
    expect(await old.name).toBe('a');
    stage.members['a']!.status = 503;
    await dcs.releaseLeader('a', call);
    await promote('b');
    await old.closed;
    await routedTo('b');
  });

  it('corrects mistakes of the checks', async () => {
    startRouter();
    await routedTo('a');
    stage.members['b']!.status = 200;
    await until('the checks raise b', async () => (await upServers()).length === 2);
    await routedTo('a');
  });

  it('is not needed: without it the checks decide', async () => {
    startRouter();
    await routedTo('a');
    await router?.stop();
    router = null;
    await demote('a');
    await promote('b');
    await routedTo('b');
  });

  it('runs from a configuration file until it is told to stop', async () => {
    const bundle = join(stage.folder, 'router.mjs');
    const entry = join(import.meta.dirname, 'support/router-process.ts');
    buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile: bundle, banner: { js: REQUIRE } });
    const file = join(stage.folder, 'regent.yml');
    writeFileSync(file, `scope: routed\netcd3: {url: '${etcd.endpoints[0]}'}\nrouter: {haproxy_socket: ${stage.socketPath}}\n`);
    program = spawn(process.execPath, [bundle, file], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    program.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await until('it has found the primary', () => said.includes('a is the primary'));
    const code = new Promise((resolve) => program?.once('exit', resolve));
    program.kill('SIGTERM');
    expect(await code).toBe(0);
  });
});

const refusals = async () => {
  const rows = parseStat(await askHaproxy(stage.socketPath, 'show stat postgres_primary 4 -1', clock, 1000));
  return rows.reduce((sum, row) => sum + Number(row['wretr'] ?? 0), 0);
};

/** CommonJS dependencies of the bundle ask for `require`. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
