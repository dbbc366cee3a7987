/**
 * `regent test tutorial`: finds, or starts, a Docker engine, has the base image there, and runs the
 * tests in its surroundings.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RegentError } from '../../../src/support/errors.ts';
import { runCommand } from '../../../src/support/exec.ts';
import { ensureTools, missingTools } from '../needs.ts';
import { runVitest, type Tally } from '../parts.ts';
import { ensureBaseImage } from './base-image.ts';
import { type Engine, runningEngine, startEngine } from './engine.ts';

const CLIENT = { docker: 'docker.io', psql: 'postgresql-client', curl: 'curl', script: 'bsdutils' };
const COMPOSE = { 'docker-compose': 'docker-compose' };
const ENGINE = { dockerd: 'docker.io', iptables: 'iptables', ip: 'iproute2', nsenter: 'util-linux' };
const DEBOOTSTRAP = { debootstrap: 'debootstrap' };

/** Until when the suite may not be ended half-way: an engine of its own has to be stopped again. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * With consent (`--yes`, or CI=true) it runs or fails; without, a machine that has no Docker skips
 * it and says why.
 */
export async function runTutorial(root: string, extra: readonly string[], consent: boolean): Promise<Tally> {
  const why = consent ? null : await whyNot();
  if (why !== null) {
    process.stdout.write(`skipped: ${why}\n`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  await ensureClient(consent);
  const scratch = mkdtempSync(join(tmpdir(), 'regent-compose-'));
  const interrupt = new AbortController();
  const { signal } = interrupt;
  const note = (signal: NodeJS.Signals) => interrupt.abort(signal);
  for (const name of SIGNALS) process.on(name, note);
  let engine: Engine | null = null;
  try {
    engine = await timed('Docker engine', () => provideEngine(consent));
    const env = { ...engine.env, ...(await composeCommand(scratch)) };
    await timed('base image', () => ensureBaseImage({ env, signal, ensureDebootstrap: () => ensureTools(DEBOOTSTRAP, consent) }), String);
    if (signal.aborted) throw new RegentError('INTERRUPTED', `interrupted by ${signal.reason}`);
    return await runVitest(root, 'tutorial', extra, { launcher: engine.launcher, env, signal });
  } finally {
    await engine?.close();
    rmSync(scratch, { recursive: true, force: true });
    for (const name of SIGNALS) process.off(name, note);
    if (signal.aborted) process.kill(process.pid, signal.reason as NodeJS.Signals);
  }
}

/** null: it can be run as things are; otherwise what is in the way, in words. */
async function whyNot(): Promise<string | null> {
  const missing = await missingTools({ ...CLIENT, ...((await hasComposePlugin()) ? {} : COMPOSE) });
  if (missing.length > 0)
    return `no ${missing.map(([tool]) => tool).join(', ')} in PATH; \`regent test --yes tutorial\` installs what it needs`;
  if ((await runningEngine()) !== null) return null;
  if (process.getuid?.() !== 0) return 'no Docker engine answers `docker info`, and only root can start one';
  const absent = await missingTools(ENGINE);
  return absent.length === 0
    ? null
    : `no Docker engine answers \`docker info\`, and there is no ${absent.map(([tool]) => tool).join(', ')} to start one`;
}

async function ensureClient(consent: boolean): Promise<void> {
  await ensureTools({ ...CLIENT, ...((await hasComposePlugin()) ? {} : COMPOSE) }, consent);
  // From Debian 13 on, docker.io is the engine alone.
  await ensureTools({ docker: 'docker-cli' }, consent);
}

async function provideEngine(consent: boolean): Promise<Engine> {
  if ((await runningEngine()) !== null) return { launcher: [], env: {}, close: async () => undefined };
  if (process.getuid?.() !== 0) {
    throw new RegentError('NO_ENGINE', 'no Docker engine answers `docker info`, and only root can start one', {
      mend: 'start Docker, or become a member of the group docker, or run the tests as root',
    });
  }
  await ensureTools(ENGINE, consent);
  return startEngine();
}

async function hasComposePlugin(): Promise<boolean> {
  return runCommand('docker', ['compose', 'version'], { timeoutMs: 15_000 }).then(
    (answer) => answer.code === 0,
    () => false,
  );
}

/**
 * The tutorial says docker-compose. Where there is Compose v2 as a plugin only, a command of that
 * name runs it.
 */
async function composeCommand(scratch: string): Promise<Readonly<Record<string, string>>> {
  if ((await missingTools(COMPOSE)).length === 0) return {};
  const file = join(scratch, 'docker-compose');
  writeFileSync(file, '#!/bin/sh\nexec docker compose "$@"\n');
  chmodSync(file, 0o755);
  return { PATH: `${scratch}:${process.env['PATH'] ?? ''}` };
}

async function timed<T>(what: string, act: () => Promise<T>, describe: (result: T) => string = () => 'ready'): Promise<T> {
  const begun = performance.now();
  const result = await act();
  process.stdout.write(`${what}: ${describe(result)} after ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  return result;
}
