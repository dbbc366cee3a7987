/**
 * Everything that is checked before anything is started, and the files that are then written. Fails
 * without having changed anything.
 */
import { chown, lchown, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, RegentError } from '../support/errors.ts';
import { lastLines, runCommand } from '../support/exec.ts';
import { demoCommand } from './commands.ts';
import { makePrivateDirectory, writePrivately } from './files.ts';
import { haproxyConfig, LOG_TO_STDOUT } from './haproxy-config.ts';
import { become, chooseUnprivileged, type Identity } from './identity.ts';
import { type InstallTerms, installPackages } from './install.ts';
import { checkOverrides, ctlFile, nodeFile, routerFile } from './node-config.ts';
import { checkSettings, type DemoPlan, type DemoSettings, FILES, planDemo, portsOf } from './plan.ts';
import { takenPorts } from './ports.ts';
import { isAlive } from './process-table.ts';
import { entryFor, runningEntry } from './program.ts';
import { defaultSurvey, type Programs, surveyPrograms } from './programs.ts';
import { entriesOf, removeFiles } from './remove.ts';
import { inspectDirectory, type Marker, readMarker, readState, settingsOf, writeMarker } from './state.ts';

export interface Prepared {
  readonly plan: DemoPlan;
  readonly marker: Marker;
  /** The bundle's entry, as the demo's user can run it. */
  readonly entry: string;
  readonly programs: Programs;
  readonly isNew: boolean;
}

/** The programs, installed on the way where that is allowed. */
async function findPrograms(terms: InstallTerms): Promise<Programs> {
  const options = defaultSurvey(process.env);
  let survey = await surveyPrograms(options);
  if (survey.missing.length > 0) {
    const reasons = survey.missing.map((program) => `${program.what}: ${program.reason}`);
    await installPackages(
      survey.missing.flatMap((program) => program.debianPackages),
      reasons,
      terms,
    );
    survey = await surveyPrograms(options);
  }
  const { postgresBin, postgresVersion, etcd, haproxy } = survey.found;
  if (postgresBin === undefined || postgresVersion === undefined || etcd === undefined || haproxy === undefined) {
    const reasons = survey.missing.map((program) => `${program.what}: ${program.reason}`);
    throw new RegentError('PROGRAMS_MISSING', `still missing after the installation: ${reasons.join('; ')}`, {
      mend: 'this distribution is too old; install newer versions by hand and put their directories into PATH',
    });
  }
  return { postgresBin, postgresVersion, etcd, haproxy };
}

/** Settings of a demo that lies there already stand; asking for others is an error. */
async function settle(
  asked: DemoSettings,
  given: ReadonlySet<string>,
): Promise<{ settings: DemoSettings; marker: Marker | null; absent: boolean }> {
  const kind = await inspectDirectory(asked.directory);
  const marker = kind === 'ours' ? await readMarker(asked.directory) : null;
  if (marker === null) return { settings: asked, marker: null, absent: kind === 'absent' };
  const { supervisor, processes } = await readState(asked.directory);
  if (supervisor && isAlive(supervisor)) {
    throw new RegentError('DEMO_RUNNING', `a demo is running in ${asked.directory} (supervisor: pid ${supervisor.pid})`, {
      mend: `see it with: ${demoCommand('status', asked.directory)}; stop it with: ${demoCommand('stop', asked.directory)}; or run another with --dir and --base-port`,
    });
  }
  const left = processes.filter((entry) => entry.identity !== null && isAlive(entry.identity));
  if (left.length > 0) {
    const names = left.map((entry) => `${entry.name} (pid ${entry.identity!.pid})`).join(', ');
    throw new RegentError('DEMO_LEFTOVERS', `the demo in ${asked.directory} lost its supervisor, and ${names} still run`, {
      mend: `end them first with: ${demoCommand('stop', asked.directory)}`,
    });
  }
  const settings = settingsOf(asked.directory, marker);
  const differs =
    (given.has('nodes') && asked.nodes !== settings.nodes) ||
    (given.has('basePort') && asked.basePort !== settings.basePort) ||
    given.has('config');
  if (differs) {
    throw new RegentError(
      'DEMO_EXISTS',
      `${asked.directory} holds a demo of ${settings.nodes} nodes at base port ${settings.basePort}, which is kept as it is`,
      {
        mend: `start it without --nodes, --base-port and --config, or remove it first with: ${demoCommand('down', asked.directory)}`,
      },
    );
  }
  return { settings, marker, absent: false };
}

async function checkPorts(plan: DemoPlan): Promise<void> {
  const taken = await takenPorts(portsOf(plan));
  if (taken.length === 0) return;
  const list = taken.map(({ port, use, holder }) => `port ${port} (${use}) is taken${holder === null ? '' : ` by ${holder}`}`).join('; ');
  throw new RegentError('PORT_TAKEN', list, {
    mend: 'stop that program, or shift all ports of the demo, for example with --base-port 15000',
  });
}

/** Makes the directory, owned by the user that will run the demo. Its parents stay as they are. */
async function claimDirectory(plan: DemoPlan, identity: Identity | null): Promise<void> {
  try {
    await mkdir(dirname(plan.directory), { recursive: true });
    await makePrivateDirectory(plan.directory);
    if (identity) await chown(plan.directory, identity.uid, identity.gid);
  } catch (error) {
    throw new RegentError('DEMO_DIRECTORY', `${plan.directory} cannot be made: ${error instanceof Error ? error.message : error}`, {
      mend: 'name a directory you may write to with --dir',
      cause: error,
    });
  }
}

async function writeFiles(plan: DemoPlan, settings: DemoSettings, programs: Programs): Promise<void> {
  for (const directory of [plan.runDir, plan.logDir]) await makePrivateDirectory(directory);
  for (const member of plan.etcd) await makePrivateDirectory(member.directory);
  for (const node of plan.nodes) {
    await makePrivateDirectory(node.directory);
    await writePrivately(node.configFile, nodeFile(plan, node, settings, programs.postgresBin));
  }
  const { writePort, readPort, statsPort, runtimeSocket } = plan.haproxy;
  const members = plan.nodes.map(({ name, postgresPort, restPort }) => ({ name, host: '127.0.0.1', postgresPort, restPort }));
  const text = haproxyConfig({
    bindAddress: '127.0.0.1',
    writePort,
    readPort,
    statsPort,
    stats: { ...settings.stats, openToTools: true },
    log: LOG_TO_STDOUT,
    runtimeSocket,
    nameserver: null,
    members,
  });
  await writePrivately(plan.haproxy.configFile, text);
  await writePrivately(plan.router.configFile, routerFile(plan));
  await writePrivately(plan.ctlFile, ctlFile(plan));
}

/** Our own check of each kind of file, before it is relied on. */
async function checkFiles(plan: DemoPlan, programs: Programs, entry: string): Promise<void> {
  const node = plan.nodes[0]!;
  const commands: ReadonlyArray<readonly [string, readonly string[], string]> = [
    [programs.haproxy.path, ['-c', '-q', '-f', plan.haproxy.configFile], plan.haproxy.configFile],
    [process.execPath, [entry, 'check-config', node.configFile], node.configFile],
  ];
  for (const [file, args, subject] of commands) {
    const result = await runCommand(file, args, { timeoutMs: 20_000, cwd: plan.directory });
    if (result.code === 0) continue;
    throw new RegentError('DEMO_CONFIG', `${subject} is not accepted:\n${lastLines(`${result.stdout}\n${result.stderr}`, 20)}`, {
      mend: 'correct what --config brought in, then start again',
    });
  }
}

/** As root: hands what was written to the demo's user. Links are not followed. */
async function handOver(plan: DemoPlan, identity: Identity): Promise<void> {
  const made = [...entriesOf(plan).filter((path) => !path.endsWith(`/${FILES.program}`)), ...plan.nodes.map((node) => node.configFile)];
  for (const path of made) {
    await lchown(path, identity.uid, identity.gid).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  }
}

/**
 * Checks everything first, then writes the files. After it, this process is no longer root. `given`
 * names the options the user typed. Throws RegentErrors only. After one nothing is started and
 * nothing new is left behind, except packages that were installed.
 */
export async function prepareDemo(asked: DemoSettings, given: ReadonlySet<string>, terms: InstallTerms): Promise<Prepared> {
  checkSettings(asked);
  checkOverrides(asked.overrides);
  const { settings, marker: old, absent } = await settle(asked, given);
  const plan = planDemo(settings);
  await checkPorts(plan);
  const programs = await findPrograms(terms);
  process.umask(0o077);
  const identity = terms.isRoot ? await chooseUnprivileged(process.env) : null;
  await claimDirectory(plan, identity);
  try {
    const entry = identity ? await entryFor(identity, plan.directory) : await runningEntry();
    const marker: Marker = {
      regentDemo: 1,
      createdDirectory: old?.createdDirectory ?? absent,
      nodes: settings.nodes,
      basePort: settings.basePort,
      overrides: settings.overrides as Marker['overrides'],
      stats: settings.stats,
      postgresBin: programs.postgresBin,
      etcd: programs.etcd.path,
      haproxy: programs.haproxy.path,
    };
    await writeMarker(plan.directory, marker);
    await writeFiles(plan, settings, programs);
    await checkFiles(plan, programs, entry);
    if (identity) {
      await handOver(plan, identity);
      become(identity);
    }
    return { plan, marker, entry, programs, isNew: old === null };
  } catch (error) {
    if (old === null) await removeFiles(plan, absent).catch(() => []);
    throw error;
  }
}
