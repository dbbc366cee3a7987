/**
 * The systems under test: how their agent is started, and with which settings each scenario runs.
 * The files are the same for both.
 */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { lastLines, runCommand } from '../src/support/exec.ts';
import type { JsonObject } from '../src/support/json.ts';
import type { SystemId } from './options.ts';

export interface System {
  readonly id: SystemId;
  /** With its version. */
  readonly title: string;
  readonly agent: (configFile: string) => { readonly file: string; readonly args: readonly string[] };
  /**
   * What makes any one standby confirm each commit, or where there is no such mode, a named one.
   */
  readonly synchronousMode: 'quorum' | 'on';
  /** Can be run with `regent router` beside HAProxy. */
  readonly hasRouter: boolean;
}

export interface Timing {
  readonly ttl: number;
  readonly loopWait: number;
  readonly retryTimeout: number;
  /** A standby confirms each commit. */
  readonly synchronous?: true;
}

/** What an agent uses that was told nothing. */
export const DEFAULT_TIMING: Timing = { ttl: 30, loopWait: 10, retryTimeout: 10 };
/**
 * The least that Patroni's documentation allows; Patroni 4 raises smaller values to it, 3.0.2 takes
 * what it is given.
 */
export const PATRONI_FLOOR: Timing = { ttl: 20, loopWait: 1, retryTimeout: 3 };
export const SHORT_TIMING: Timing = { ttl: 5, loopWait: 1, retryTimeout: 2 };
export const SYNCHRONOUS: Timing = { ...DEFAULT_TIMING, synchronous: true };

/**
 * Laid over the demo's node files: the defaults of both systems, but for what a scenario is about.
 */
export function overridesOf(timing: Timing, { synchronousMode }: Pick<System, 'synchronousMode'>): JsonObject {
  const mode = timing.synchronous === true && (synchronousMode === 'on' || synchronousMode);
  return {
    bootstrap: {
      dcs: { ttl: timing.ttl, loop_wait: timing.loopWait, retry_timeout: timing.retryTimeout, synchronous_mode: mode },
    },
  };
}

export function regentSystem(version: string, entry: string): System {
  return {
    id: 'regent',
    title: `Regent ${version}`,
    agent: (configFile) => ({ file: process.execPath, args: [entry, 'agent', configFile] }),
    synchronousMode: 'quorum',
    hasRouter: true,
  };
}

const VERSION_TIMEOUT_MS = 20_000;

/** null where there is none that runs. */
export async function findPatroni(path: string): Promise<System | null> {
  for (const directory of path.split(delimiter)) {
    const file = join(directory, 'patroni');
    if (directory === '' || !(await isExecutable(file))) continue;
    const result = await runCommand(file, ['--version'], { timeoutMs: VERSION_TIMEOUT_MS, cwd: '/' }).catch(() => null);
    const version = /patroni (\S+)/i.exec(lastLines(result?.stdout ?? '', 1))?.[1];
    if (result?.code !== 0 || version === undefined) continue;
    return {
      id: 'patroni',
      title: `Patroni ${version}`,
      agent: (configFile) => ({ file, args: [configFile] }),
      synchronousMode: Number.parseInt(version, 10) >= 4 ? 'quorum' : 'on',
      hasRouter: false,
    };
  }
  return null;
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
