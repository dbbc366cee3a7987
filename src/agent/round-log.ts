/** What a round logs: each thing when it begins, changes or ends, and not every round. */
import { awaitedSwitchover } from '../core/awaiting.ts';
import { choreNotes } from '../core/chores.ts';
import type { ClusterView } from '../core/cluster.ts';
import type { Context } from '../core/context.ts';
import { demotes, type Effect, promotes } from '../core/effects.ts';
import { isHeartbeat } from '../core/heartbeat-line.ts';
import { lockNotes } from '../core/locked-out.ts';
import { memberComplaints } from '../core/member-complaints.ts';
import type { Decision, Memory } from '../core/model.ts';
import { doubtsOfPromotion, lossesOfDemotion } from '../core/slots/logical.ts';
import { noStrangers, type StrangerMemory } from '../core/stranger-memory.ts';
import { strangerNotes } from '../core/strangers.ts';
import { type Noted, syncNotes } from '../core/sync-notes.ts';
import { remoteNotes } from '../core/wrong-remote.ts';
import type { Log } from '../ports/log.ts';
import type { SettingsSource } from '../ports/settings.ts';

/** Clients lose their primary, or the cluster its leader, and no operator has asked for it here. */
function losesLead({ rule, steps }: Decision): boolean {
  return steps.some(({ kind }) => kind === 'demote-now' || kind === 'release-leader') && !rule.startsWith('shutdown.');
}

/** Of two rounds a `loop_wait` apart, the first may have come to its decision a little later. */
const NEARLY = 0.9;

export interface RoundLogPorts {
  readonly log: Pick<Log, 'debug' | 'error' | 'info' | 'warning'>;
  readonly settings: Pick<SettingsSource, 'current'>;
  /** The restart of PostgreSQL that is scheduled, in words; null: there is none. */
  readonly awaitedRestart?: () => string | null;
}

export class RoundLog {
  readonly #ports: RoundLogPorts;
  #lastLine = '';
  /** When it was said (bootMs). */
  #lastSaidMs = Number.NEGATIVE_INFINITY;
  #wasLate = false;
  #complaints: readonly string[] = [];
  #noted: Noted | null = null;
  #strangers: StrangerMemory = noStrangers;

  constructor(ports: RoundLogPorts) {
    this.#ports = ports;
  }

  warnOfMembers(view: ClusterView): void {
    const { synchronousMode, slots } = this.#ports.settings.current().dynamic;
    const complaints = memberComplaints(view.members, synchronousMode, slots);
    for (const complaint of complaints) if (!this.#complaints.includes(complaint)) this.#ports.log.error(complaint);
    this.#complaints = complaints;
  }

  /** What the decision newly remembers, before anything is done about it. */
  noteMemory(before: Memory, after: Memory): void {
    const remote = remoteNotes(before, after, { settings: this.#ports.settings.current() });
    const notes = [...choreNotes(before.chores, after.chores), ...lockNotes(before.lockedOut, after), ...remote];
    for (const { level, text } of notes) this.#ports.log[level](text);
  }

  /**
   * One line when a round says something new, and a heartbeat once a `loop_wait`, however many
   * rounds there are. `Lock owner` is dropped before a heartbeat (adapters/log/heartbeat.ts).
   */
  say(c: Context, decision: Decision): void {
    const { log } = this.#ports;
    const { because: line, rule } = decision;
    const { nowMs, settings } = c.o;
    const isDue = isHeartbeat(line) && nowMs - this.#lastSaidMs >= settings.dynamic.loopWaitSeconds * 1000 * NEARLY;
    if (line === this.#lastLine && !isDue) {
      log.debug(line, { rule });
      return;
    }
    if (c.view !== null) log.info(`Lock owner: ${c.view.leader?.name ?? 'None'}; I am ${c.me}`);
    for (const awaited of [awaitedSwitchover(c), this.#ports.awaitedRestart?.() ?? null]) if (awaited !== null) log.info(awaited);
    log[losesLead(decision) ? 'warning' : 'info'](line, { rule });
    this.#lastLine = line;
    this.#lastSaidMs = nowMs;
  }

  /** A round came to its end after so long. */
  turned(tookMs: number): void {
    const isLate = tookMs > this.#ports.settings.current().dynamic.loopWaitSeconds * 1000;
    if (isLate) this.#ports.log[this.#wasLate ? 'debug' : 'warning']('Loop time exceeded, rescheduling immediately.');
    this.#wasLate = isLate;
  }

  /** A step of the decision was refused, because what it was judged on had changed meanwhile. */
  refused(c: Context, { steps }: Decision): void {
    const has = (kind: Effect['kind']) => steps.some((step) => step.kind === kind);
    if (has('acquire-leader') && c.isStandby) this.#ports.log.info('following new leader after trying and failing to obtain lock');
    if (has('write-sync') && steps.some(promotes))
      this.#ports.log.info('Postponing promotion because synchronous replication state was updated by somebody else');
  }

  /** Once, when the role changes: nobody else knows it afterwards. */
  noteSlots(c: Context, { steps }: Decision): void {
    const told = steps.some(promotes) ? doubtsOfPromotion(c) : steps.some(demotes) ? lossesOfDemotion(c) : [];
    for (const loss of told) this.#ports.log.warning(loss);
  }

  /** Commits begin and cease to wait without any request, so the log must tell since when. */
  noteSync(c: Context, { effects }: Decision): void {
    const { noted, notes } = syncNotes(c, effects, this.#noted);
    for (const { level, text } of [...strangerNotes(this.#strangers, c.m.strangers), ...notes]) this.#ports.log[level](text);
    [this.#noted, this.#strangers] = [noted, c.m.strangers];
  }
}
