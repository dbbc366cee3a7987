/**
 * A Docker engine of the suite's own, for machines where none runs. It lives in one folder and one
 * network namespace, and takes both with it.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RegentError } from '../../../src/support/errors.ts';
import { lastLines, runCommand } from '../../../src/support/exec.ts';
import { deadFolders, makeFolder, removeFolder } from './folders.ts';
import { openUplink, type Uplink } from './uplink.ts';

export interface Engine {
  /** Put before a command that must reach published ports at localhost. */
  readonly launcher: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const START_MS = 60_000;
const STOP_MS = 45_000;
/**
 * What an engine leaves outside its folders; removed where it was not there before. Each must be
 * empty to be removed, or is a file.
 */
const TRACES = ['/etc/docker/key.json', '/etc/docker', '/run/docker/plugins', '/run/docker', '/var/lib/docker'];

/**
 * Version of the engine that DOCKER_HOST, or else the usual socket, leads to; null when none
 * answers.
 */
export async function runningEngine(env: Readonly<Record<string, string>> = {}): Promise<string | null> {
  const answer = await runCommand('docker', ['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 15_000, env }).catch(() => null);
  if (answer === null) return null;
  const version = answer.stdout.trim();
  return answer.code === 0 && /^\d/.test(version) ? version : null;
}

/** Needs root. Throws ENGINE_NOT_STARTED, with the engine's last words. */
export async function startEngine(): Promise<Engine> {
  for (const folder of deadFolders('docker')) await stop(folder);
  const before = new Set([...TRACES, ...controlGroups()].filter((path) => existsSync(path)));
  const uplink = openUplink();
  const folder = makeFolder('docker');
  const env = { DOCKER_HOST: `unix://${folder}/socket` };
  const close = async () => {
    await stop(folder);
    uplink.close();
    for (const path of [...TRACES, ...controlGroups()]) if (!before.has(path)) removeTrace(path);
  };
  try {
    await start(folder, uplink, env);
  } catch (error) {
    await close();
    throw error;
  }
  return { launcher: uplink.launcher, env, close };
}

async function start(folder: string, uplink: Uplink, env: Readonly<Record<string, string>>): Promise<void> {
  const log = openSync(join(folder, 'log'), 'a');
  const words = [
    ...['dockerd', '--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')],
    ...['--host', env['DOCKER_HOST']!, '--bip', '198.19.253.1/24', '--default-address-pool', 'base=198.19.0.0/17,size=24'],
  ];
  // A group of its own: Ctrl-C on the terminal is for the tests; the engine is stopped once they
  // have ended.
  const child = spawn(uplink.launcher[0]!, [...uplink.launcher.slice(1), ...words], { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.unref();
  let ended: string | null = null;
  child.on('error', (error) => {
    ended = error.message;
  });
  child.on('exit', (code, signal) => {
    ended = `it ended with ${code ?? signal}`;
  });
  for (const deadline = Date.now() + START_MS; (await runningEngine(env)) === null; await delay(100)) {
    if (ended === null && Date.now() < deadline) continue;
    const said = lastLines(readFileSync(join(folder, 'log'), 'utf8'), 8);
    throw new RegentError('ENGINE_NOT_STARTED', `no Docker engine could be started (${ended ?? 'it does not answer'}):\n${said}`, {
      mend: 'start one yourself: with `docker info` answering, the tests use that',
    });
  }
}

/**
 * Ends dockerd, which ends its containers and its containerd; then nothing of the folder is in use
 * any more.
 */
async function stop(folder: string): Promise<void> {
  const pids = () => ['pid', 'exec/containerd/containerd.pid'].map((file) => pidIn(folder, file)).filter((pid) => pid !== null);
  const [first] = pids();
  if (first !== undefined) process.kill(first, 'SIGTERM');
  for (const deadline = Date.now() + STOP_MS; pids().length > 0 && Date.now() < deadline; ) await delay(50);
  for (const pid of pids()) process.kill(pid, 'SIGKILL');
  await removeFolder(folder);
}

/** The process that a pid file of the engine names, as long as it lives and is that engine's. */
function pidIn(folder: string, file: string): number | null {
  try {
    const pid = Number(readFileSync(join(folder, file), 'utf8').trim());
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${folder}/`) ? pid : null;
  } catch {
    return null;
  }
}

/** The group that engines put their containers' groups into, under cgroup v1 and v2. */
function controlGroups(): readonly string[] {
  const root = '/sys/fs/cgroup';
  const hierarchies = existsSync(root) ? readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory()) : [];
  return [join(root, 'docker'), ...hierarchies.map((entry) => join(root, entry.name, 'docker'))];
}

function removeTrace(path: string): void {
  try {
    if (path.endsWith('.json')) rmSync(path, { force: true });
    else if (existsSync(path)) rmdirSync(path);
  } catch {
    // Somebody else's by now.
  }
}
