/**
 * `regent bench failover`: what a client sees when its cluster is broken, beside Patroni on the
 * same machine in the same run. `regent bench idle`: what agents cost that have nothing to do.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { chown, mkdtemp, realpath, rm } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { become, chooseUnprivileged } from '../src/demo/identity.ts';
import { entryFor, runningEntry } from '../src/demo/program.ts';
import type { Programs } from '../src/demo/programs.ts';
import { RegentError } from '../src/support/errors.ts';
import { REGENT_VERSION } from '../src/version.ts';
import type { Figures } from './figures.ts';
import { type BenchOptions, COMMANDS, parseBenchOptions, USAGE } from './options.ts';
import { findPrograms } from './programs.ts';
import { reportTable, type Titles } from './report.ts';
import { runSessions, sessionsOf } from './sessions.ts';
import { findPatroni, regentSystem, type System } from './systems.ts';
import { writerMain } from './writer-process.ts';

const EXIT_USAGE = 2;
/** As shells say "ended by SIGINT". */
const EXIT_STOPPED = 130;

const say = (text: string) => void process.stderr.write(`${text}\n`);

/**
 * Exit code 1 when something could not be measured. Throws BENCH_OPTION, PROGRAMS_MISSING and what
 * the demo's preparation throws.
 */
export async function benchMain(args: readonly string[]): Promise<number> {
  const [what, ...rest] = args;
  if (what === 'writer') return writerMain(rest);
  const command = COMMANDS.find((one) => one === what);
  if (command === undefined) {
    const wantsHelp = what === '--help' || what === '-h';
    (wantsHelp ? process.stdout : process.stderr).write(USAGE);
    return wantsHelp ? 0 : EXIT_USAGE;
  }
  const options = parseBenchOptions(rest, command);
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  // Opened now, so that a path that cannot be written is an error before the work. The user it
  // belongs to may not be ours for long.
  const json = options.jsonFile === null ? null : openSync(options.jsonFile, 'w');
  try {
    return await bench(options, json);
  } finally {
    if (json !== null) closeSync(json);
  }
}

/** A directory of the user that PostgreSQL will run as; as root we become that user. */
async function claimRoot(): Promise<{ readonly root: string; readonly entry: string }> {
  process.umask(0o077);
  const root = await mkdtemp(join(await realpath(tmpdir()), 'rgb-'));
  if (process.getuid?.() !== 0) return { root, entry: await runningEntry() };
  try {
    const identity = await chooseUnprivileged(process.env);
    await chown(root, identity.uid, identity.gid);
    const entry = await entryFor(identity, root);
    become(identity);
    return { root, entry };
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
}

async function systemsOf(options: BenchOptions, entry: string): Promise<System[]> {
  const regent = regentSystem(REGENT_VERSION, entry);
  const patroni = options.systems.includes('patroni') ? await findPatroni(process.env['PATH'] ?? '') : null;
  if (patroni === null && options.systems.includes('patroni')) {
    if (options.systems.length === 1) {
      throw new RegentError('PROGRAMS_MISSING', 'no patroni runs here', { mend: 'as root: apt-get install patroni python3-etcd' });
    }
    say('no patroni is installed here (apt-get install patroni python3-etcd): Regent alone is measured');
  }
  return [...(options.systems.includes('regent') ? [regent] : []), ...(patroni === null ? [] : [patroni])];
}

/** Ctrl-C once: stop, clean up. Twice: the same, there is nothing quicker that is also clean. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted) say('\nstopping and cleaning up ...');
      controller.abort(new RegentError('BENCH_STOPPED', 'the benchmark was stopped', { policy: 'transient' }));
    });
  }
  return controller.signal;
}

async function bench(options: BenchOptions, json: number | null): Promise<number> {
  const programs = await findPrograms();
  const signal = stopOnSignals();
  const { root, entry } = await claimRoot();
  try {
    const systems = await systemsOf(options, entry);
    const titles: Titles = Object.fromEntries(systems.map((system) => [system.id, system.title]));
    const machine = describeMachine(programs);
    const begun = new Date();
    say(machine);
    const sessions = sessionsOf(options, systems);
    const figures = await runSessions(sessions, { root, entry, programs, signal, idleSeconds: options.idleSeconds, say });
    const command = ['regent bench', ...process.argv.slice(3)].join(' ');
    process.stdout.write(`\n${command}, ${begun.toISOString().slice(0, 10)}, ${machine}; load now ${load()}\n\n`);
    process.stdout.write(`${reportTable(figures, titles)}\n${failureLines(figures)}`);
    if (json !== null)
      writeSync(json, `${JSON.stringify({ command, begun, ended: new Date(), machine, titles, options, figures }, null, 2)}\n`);
    return figures.failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (signal.aborted) return EXIT_STOPPED;
    throw error;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function failureLines(figures: Figures): string {
  return figures.failures.map(({ system, scenario, message }) => `not measured: ${system}, ${scenario}: ${message}\n`).join('');
}

const load = () => loadavg()[0]!.toFixed(1);

function describeMachine({ postgresVersion, etcd, haproxy }: Programs): string {
  const cores = cpus();
  const memory = Math.round(totalmem() / 1024 ** 3);
  const hardware = `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown CPU'}, ${memory} GiB, Linux ${release()}`;
  return `${hardware}; PostgreSQL ${postgresVersion}, etcd ${etcd.version}, HAProxy ${haproxy.version}, Node ${process.versions.node}; load ${load()}`;
}
