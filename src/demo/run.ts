/**
 * `regent demo` itself: prepare, supervise (here or in the background), wait until healthy, tell
 * what there is.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureError, RegentError } from '../support/errors.ts';
import { awaitHealthy } from './await-healthy.ts';
import { Chronicle } from './chronicle.ts';
import { ask, stopEverything } from './client.ts';
import { demoCommand } from './commands.ts';
import { type ControlReply, type ControlRequest, listenForControl } from './control.ts';
import { findHead } from './observe.ts';
import { type DemoPlan, planDemo } from './plan.ts';
import type { Prepared } from './prepare.ts';
import { runningEntry } from './program.ts';
import { formatSeconds, type Progress } from './progress.ts';
import { processSpecs } from './specs.ts';
import { requireDemo } from './state.ts';
import { Supervisor } from './supervisor.ts';
import { memberTable, pausedNote, welcome } from './words.ts';

const SUPERVISOR_START_MS = 10_000;

/** The supervisor with its socket, in this process. */
interface Reign {
  readonly supervisor: Supervisor;
  /** Resolves once everything has been stopped, at anyone's request. */
  readonly over: Promise<void>;
  readonly end: () => Promise<void>;
}

async function handle(supervisor: Supervisor, request: ControlRequest, end: () => Promise<void>): Promise<ControlReply> {
  const reply = (message: string): ControlReply => ({ ok: true, message, state: supervisor.state() });
  switch (request.command) {
    case 'status':
      return reply('');
    case 'start':
      return reply(await supervisor.startNode(request.node));
    case 'stop':
      return reply(await supervisor.stopNode(request.node));
    case 'kill':
      return reply(await supervisor.killNode(request.node));
    case 'shutdown':
      await supervisor.shutdown();
      // The answer goes out before the socket closes.
      setImmediate(() => void end());
      return reply('everything has stopped');
  }
}

async function reign(prepared: Pick<Prepared, 'plan' | 'marker' | 'entry'>, report: (text: string) => void): Promise<Reign> {
  const { plan, marker, entry } = prepared;
  const supervisor = new Supervisor(plan, processSpecs(plan, marker, entry), report);
  let server: Server | null = null;
  let resolveOver = () => {};
  const over = new Promise<void>((resolve) => {
    resolveOver = resolve;
  });
  const end = async () => {
    await supervisor.shutdown();
    server?.close();
    resolveOver();
  };
  server = await listenForControl(plan.controlSocket, (request) => handle(supervisor, request, end));
  await supervisor.startAll();
  return { supervisor, over, end };
}

/** Ctrl-C once: stop in order. Twice: stop at once. */
function onSignals(first: () => void, second: () => void): void {
  let count = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      count += 1;
      if (count === 1) first();
      else second();
    });
  }
}

/** What the command line adds to what was prepared. */
export interface RunTerms {
  readonly progress: Progress;
  readonly write: (text: string) => void;
}

async function tellReady(prepared: Prepared, { progress, write }: RunTerms, paused: boolean): Promise<void> {
  const took = formatSeconds(progress.elapsedMs());
  const [table, head] = await Promise.all([memberTable(prepared.plan, prepared.entry), findHead(prepared.plan)]);
  write(`\n${table}\n${welcome({ plan: prepared.plan, stats: prepared.marker.stats, head, took })}\n`);
  if (paused) write(`${pausedNote(prepared.plan)}\n`);
}

export async function runForeground(prepared: Prepared, terms: RunTerms): Promise<number> {
  const { progress, write } = terms;
  const { supervisor, over, end } = await reign(prepared, (text) => progress.note(text));
  const chronicle = new Chronicle(prepared.plan, write);
  let cancelled = false;
  onSignals(
    () => {
      cancelled = true;
      chronicle.stop();
      progress.end();
      write('\nstopping ... (once more: at once)\n');
      void end();
    },
    () => void supervisor.abandon(),
  );
  try {
    const outcome = await awaitHealthy({
      plan: prepared.plan,
      progress,
      state: () => Promise.resolve(supervisor.state()),
      isCancelled: () => cancelled,
    });
    if (outcome !== 'cancelled' && !cancelled) {
      await tellReady(prepared, terms, outcome === 'paused');
      write(`Ctrl-C stops everything; the data stays, until: ${demoCommand('down', prepared.plan.directory)}\n\n`);
      chronicle.start();
    }
  } catch (error) {
    await end();
    throw error;
  }
  await over;
  chronicle.stop();
  write('everything has stopped\n');
  return 0;
}

/**
 * The background half of `--detach`: runs until told to stop. Its standard output is the
 * supervisor's log.
 */
export async function superviseMain(directory: string): Promise<number> {
  process.umask(0o077);
  const { settings, marker } = await requireDemo(directory);
  const report = (text: string) => void process.stdout.write(`${new Date().toISOString()} ${text}\n`);
  const { supervisor, over, end } = await reign({ plan: planDemo(settings), marker, entry: await runningEntry() }, report);
  report('started');
  onSignals(
    () => void end(),
    () => void supervisor.abandon(),
  );
  await over;
  report('stopped');
  return 0;
}

async function supervisorAnswers(plan: DemoPlan, hasEnded: () => string | null): Promise<void> {
  const end = Date.now() + SUPERVISOR_START_MS;
  for (;;) {
    const ended = hasEnded();
    if (ended !== null) throw new RegentError('DEMO_SUPERVISOR', `the supervisor ${ended}`, { mend: `its log: ${plan.supervisorLog}` });
    try {
      await ask(plan, { command: 'status' });
      return;
    } catch (error) {
      if (Date.now() >= end) {
        throw new RegentError('DEMO_SUPERVISOR', `the supervisor does not answer: ${ensureError(error).message}`, {
          mend: `its log: ${plan.supervisorLog}`,
        });
      }
    }
    await sleep(50);
  }
}

export async function runDetached(prepared: Prepared, terms: RunTerms): Promise<number> {
  const { progress, write } = terms;
  const { plan, entry } = prepared;
  const log = openSync(plan.supervisorLog, 'a', 0o600);
  const child = spawn(process.execPath, [entry, 'demo', 'supervise', '--dir', plan.directory], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: plan.directory,
  });
  closeSync(log);
  let ended: string | null = null;
  let cancelled = false;
  let paused = false;
  child.on('error', (error) => {
    ended = `could not be started: ${error.message}`;
  });
  child.on('exit', (code, by) => {
    ended = `ended (${by ?? `exit code ${code}`})`;
  });
  onSignals(
    () => {
      cancelled = true;
    },
    () => process.exit(130),
  );
  try {
    await supervisorAnswers(plan, () => ended);
    const outcome = await awaitHealthy({
      plan,
      progress,
      state: async () => (await ask(plan, { command: 'status' })).state,
      isCancelled: () => cancelled,
    });
    if (outcome === 'cancelled') {
      write('\nstopping ...\n');
      await stopEverything(plan);
      return 130;
    }
    paused = outcome === 'paused';
  } catch (error) {
    progress.end();
    await stopEverything(plan);
    throw error;
  }
  child.unref();
  await tellReady(prepared, terms, paused);
  write(`It runs in the background. Stop it: ${demoCommand('stop', plan.directory)}   Remove it: ${demoCommand('down', plan.directory)}\n`);
  return 0;
}
