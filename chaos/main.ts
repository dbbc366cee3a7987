/**
 * `regent chaos`: real processes, random faults, and clients that remember what they were told.
 */
import { appendFileSync, chownSync, writeFileSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPrograms } from '../bench/programs.ts';
import { entryFor } from '../src/demo/program.ts';
import { ensureError, RegentError } from '../src/support/errors.ts';
import { postgresOwner } from '../test/integration/support/bare-postgres.ts';
import { whyNoMounts } from '../test/integration/support/mounts.ts';
import { hasNetem, hasRandomLoss, whyNoNetwork } from '../test/integration/support/network.ts';
import { Clients } from './clients.ts';
import { clientsMain } from './clients-process.ts';
import { Clocks } from './clock.ts';
import { type ChaosOptions, parseChaosOptions, USAGE } from './options.ts';
import { KINDS, type Kind, type Need, needOf, SMALL_KINDS } from './plan.ts';
import { reportText } from './report.ts';
import { ChaosRun } from './run.ts';
import { Stage } from './stage.ts';

const EXIT_FAILED = 1;
/** As shells say "ended by SIGINT". */
const EXIT_STOPPED = 130;
const WITHOUT: Readonly<Record<Need, string>> = {
  netem: 'this kernel has no netem',
  loss: 'there is no iptables that drops at random',
  cc: 'no C compiler builds the clocks',
};
const START_WITHIN_MS = 120_000;

/** Throws CHAOS_OPTION, CHAOS_PLACE, PROGRAMS_MISSING, and what building the cluster throws. */
export async function chaosMain(args: readonly string[]): Promise<number> {
  if (args[0] === 'clients') return clientsMain(args.slice(1));
  const options = parseChaosOptions(args);
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  const obstacle = whyNoNetwork() ?? whyNoMounts();
  if (obstacle !== null) {
    throw new RegentError('CHAOS_PLACE', obstacle, { mend: 'run it as root, on Linux, where namespaces and mounts may be made' });
  }
  return chaos(options);
}

/** Ctrl-C once: stop, clean up. Twice: the same, there is nothing quicker that is also clean. */
function stopOnSignals(say: (text: string) => void): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted) say(`${name}: stopping and cleaning up`);
      controller.abort(new RegentError('CHAOS_STOPPED', 'the run was stopped', { policy: 'transient' }));
    });
  }
  // A reader that has gone, such as head, has seen enough.
  process.stdout.on('error', () => controller.abort(new RegentError('CHAOS_STOPPED', 'nobody reads', { policy: 'transient' })));
  return controller.signal;
}

function kindsOf(options: ChaosOptions, missing: readonly Need[], say: (text: string) => void): Kind[] {
  const asked = options.only.length > 0 ? options.only : options.small ? SMALL_KINDS : KINDS;
  const isLeftOut = (kind: Kind) => missing.some((need) => need === needOf(kind));
  const left = asked.filter((kind) => !isLeftOut(kind));
  const why = missing.map((need) => WITHOUT[need]).join('; ');
  if (left.length === 0) throw new RegentError('CHAOS_PLACE', `none of the faults asked for can be inflicted: ${why}`);
  if (left.length < asked.length) say(`left out: ${asked.filter(isLeftOut).join(', ')} (${why})`);
  return left;
}

async function chaos(options: ChaosOptions): Promise<number> {
  const directory = await mkdtemp(join(await realpath(tmpdir()), 'regent-chaos-'));
  const logFile = join(directory, 'run.log');
  writeFileSync(logFile, '');
  const note = (text: string) => appendFileSync(logFile, `${new Date().toISOString()} ${text}\n`);
  const say = (text: string) => {
    note(text);
    process.stdout.write(`${text}\n`);
  };
  const signal = stopOnSignals(say);
  let keep = options.keep;
  try {
    const code = await inDirectory(directory, options, { signal, say, note });
    keep ||= code === EXIT_FAILED;
    return code;
  } catch (error) {
    if (signal.aborted) return EXIT_STOPPED;
    keep = true;
    throw error;
  } finally {
    if (keep) process.stdout.write(`kept: ${directory}\n`);
    else await rm(directory, { recursive: true, force: true });
  }
}

interface Hands {
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
  /** To the log alone. */
  readonly note: (text: string) => void;
}

async function inDirectory(directory: string, options: ChaosOptions, { signal, say, note }: Hands): Promise<number> {
  const owner = postgresOwner();
  chownSync(directory, owner.uid, owner.gid);
  const programs = await findPrograms();
  const entry = await entryFor({ name: 'postgres', home: '/', ...owner }, directory);
  const { seed, minutes, mode, members, ttlSeconds } = options;
  say(`seed ${seed}, ${mode}, ${members} members, ttl ${ttlSeconds}, in ${directory}`);
  const clocks = Clocks.build(directory);
  const kinds = kindsOf(
    options,
    [...(hasNetem() ? [] : ['netem' as const]), ...(hasRandomLoss() ? [] : ['loss' as const]), ...(clocks === null ? ['cc' as const] : [])],
    say,
  );
  const stage = await Stage.open({ directory, entry, programs, minutes, members, mode, ttlSeconds, clocks, signal, note });
  let clients: Clients | null = null;
  let keep = true;
  try {
    const leader = await stage.start(START_WITHIN_MS);
    clients = new Clients({ entry, directory, nodes: stage.cluster.nodes, routed: stage.routed });
    const since = clients;
    await stage.whole(START_WITHIN_MS, (node) => since.isServedBy(node, 0));
    say(`whole under ${leader}`);
    const run = new ChaosRun(
      { stage, clients, options, plan: { seed, ttlMs: ttlSeconds * 1000, members, kinds, small: options.small }, signal, say },
      leader,
    );
    const record = await run.all();
    const held = record.checks.every(({ violations }) => violations.length === 0);
    keep = options.keep || !held;
    if (!held) say(await stage.cluster.describe());
    say(`\n${reportText(record)}`);
    return held ? 0 : EXIT_FAILED;
  } catch (error) {
    if (signal.aborted) keep = options.keep;
    else say(`${ensureError(error).message}\n${await stage.cluster.describe()}`);
    throw error;
  } finally {
    await clients?.close();
    await stage.close(keep);
  }
}
