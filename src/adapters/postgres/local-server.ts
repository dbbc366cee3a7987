/**
 * The local server as the adapter's operations share it: the settings in force, the held
 * postmaster, the heartbeat connection, what its files were last written for.
 */
import type { ServerRole } from '../../core/effects.ts';
import { roleNameOf, settingsFor } from '../../core/role-settings.ts';
import type { RoleName, Settings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Tether } from '../../ports/guard.ts';
import type { Log } from '../../ports/log.ts';
import type { RunOptions, RunResult } from '../../support/exec.ts';
import { runCommand } from '../../support/exec.ts';
import type { ConfWriter } from './conf-writer.ts';
import { ControlDataReader } from './control-data.ts';
import type { Deps, Owner } from './deps.ts';
import { FenceFile } from './fence-mark.ts';
import type { Heartbeat } from './heartbeat.ts';
import { LocalHistory } from './history-file.ts';
import type { PostmasterWatch } from './postmaster.ts';
import { connect } from './sql.ts';
import { LocalFingerprint } from './timeline-fingerprint.ts';

export type RunAs = Owner;

export interface LocalServer {
  settings: Settings;
  /** synchronous_standby_names where the agent owns it; null: the user's value stands. */
  syncNames: string | null;
  /** What the files were last written for; null before the first time. */
  role: ServerRole | null;
  /** The role for which all files were last written; null: not yet. */
  filesFor: RoleName | null;
  /**
   * The running server may not have been told to read the files as they are. They changed and no
   * signal followed; or another process wrote them and may have ended before its signal.
   */
  owesReload: boolean;
  /**
   * The checkpointer of this postmaster is known to have read that there are synchronous standbys:
   * it did at its start, or was seen to. Before that, commits wait for none, whatever the setting
   * shows. False again as soon as the names are seen empty, whoever emptied them.
   */
  namesObeyed: boolean;
  /**
   * The operator wants the server to read its files again, whether or not one of ours changes;
   * until the next signal.
   */
  reloadAsked: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly runAs: RunAs | null;
  /** Null: PostgreSQL is started without. */
  readonly tether: Tether | null;
  /**
   * A directory of the agent's own for the server's early output, where the configuration names
   * none.
   */
  readonly stateDir: string | null;
  readonly watch: PostmasterWatch;
  readonly heartbeat: Heartbeat;
  readonly fence: FenceFile;
  readonly control: ControlDataReader;
  readonly history: LocalHistory;
  readonly timelineFingerprint: LocalFingerprint;
  /** Runs before_stop: BeforeStop.run. */
  readonly beforeStop: (timeoutMs: number) => Promise<void>;
  /** As the server or its control file has told; null: not yet. */
  walSegmentBytes: number | null;
  readonly writer: ConfWriter;
  /**
   * The server was started while clients must wait; null: an agent before this one may have done
   * so.
   */
  clientsOut: boolean | null;
}

/** The settings as they are for the role that its files were last written for. */
export function settingsInRole({ settings, role }: Pick<LocalServer, 'settings' | 'role'>): Settings {
  return settingsFor(settings, role === null ? null : roleNameOf(role));
}

export function newReaders(): Pick<LocalServer, 'fence' | 'control' | 'history' | 'timelineFingerprint'> {
  return {
    fence: new FenceFile(),
    control: new ControlDataReader(),
    history: new LocalHistory(),
    timelineFingerprint: new LocalFingerprint(),
  };
}

/**
 * runCommand under the user PostgreSQL runs as. Such a user may not be able to enter the agent's
 * working directory.
 */
export function runner(runAs: RunAs | null) {
  return (file: string, args: readonly string[], options: RunOptions): Promise<RunResult> =>
    runCommand(file, args, runAs === null ? options : { cwd: '/', ...options, uid: runAs.uid, gid: runAs.gid });
}

export function depsOf(server: Pick<LocalServer, 'settings' | 'log' | 'clock' | 'runAs'>): Deps {
  return { settings: server.settings, log: server.log, clock: server.clock, run: runner(server.runAs), connect, runAs: server.runAs };
}
