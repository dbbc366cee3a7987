/** What a round logs: each thing when it begins, changes or ends, and not every round. */
import { choreNotes } from '../core/chores.ts';
import type { ClusterView } from '../core/cluster.ts';
import type { Context } from '../core/context.ts';
import { lockNotes } from '../core/locked-out.ts';
import { memberComplaints } from '../core/member-complaints.ts';
import type { Decision, Memory } from '../core/model.ts';
import { noStrangers, type StrangerMemory } from '../core/stranger-memory.ts';
import { strangerNotes } from '../core/strangers.ts';
import { type Noted, syncNotes } from '../core/sync-notes.ts';
import type { Log } from '../ports/log.ts';
import type { SettingsSource } from '../ports/settings.ts';

/** Clients lose their primary, or the cluster its leader, and no operator has asked for it here. */
function losesLead({ rule, steps }: Decision): boolean {
  return steps.some(({ kind }) => kind === 'demote-now' || kind === 'release-leader') && !rule.startsWith('shutdown.');
}

export interface RoundLogPorts {
  readonly log: Pick<Log, 'debug' | 'error' | 'info' | 'warning'>;
  readonly settings: Pick<SettingsSource, 'current'>;
}

export class RoundLog {
  readonly #ports: RoundLogPorts;
  #lastLine = '';
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
    const notes = [...choreNotes(before.chores, after.chores), ...lockNotes(before.lockedOut, after)];
    for (const { level, text } of notes) this.#ports.log[level](text);
  }

  /** One line a round, and only when it says something new: the log is read by people. */
  say(decision: Decision): void {
    const line = decision.because;
    if (line === this.#lastLine) this.#ports.log.debug(line, { rule: decision.rule });
    else this.#ports.log[losesLead(decision) ? 'warning' : 'info'](line, { rule: decision.rule });
    this.#lastLine = line;
  }

  /** Commits begin and cease to wait without any request, so the log must tell since when. */
  noteSync(c: Context, { effects }: Decision): void {
    const { noted, notes } = syncNotes(c, effects, this.#noted);
    for (const { level, text } of [...strangerNotes(this.#strangers, c.m.strangers), ...notes]) this.#ports.log[level](text);
    [this.#noted, this.#strangers] = [noted, c.m.strangers];
  }
}
