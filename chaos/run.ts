/** A chaos run: one episode after the other until the time is over, then the checks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../bench/now.ts';
import { codeOf, ensureError } from '../src/support/errors.ts';
import { compareRows, type Findings, missingOn } from './checks.ts';
import type { Clients } from './clients.ts';
import { inflict, type Wound } from './faults.ts';
import type { ChaosOptions } from './options.ts';
import { drawEpisode, type Episode, groupOf, type PlanTerms, titleOf } from './plan.ts';
import { type Check, type EpisodeRecord, type Record, seconds } from './report.ts';
import type { Stage } from './stage.ts';

const MINUTE_MS = 60_000;
/** Beside two times the ttl. */
const WHOLE_WITHIN_MS = 60_000;

export interface RunTerms {
  readonly stage: Stage;
  readonly clients: Clients;
  readonly options: ChaosOptions;
  readonly plan: PlanTerms;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

const inWords = (error: unknown) => ensureError(error).message.split('\n')[0]!;

export class ChaosRun {
  readonly #terms: RunTerms;
  readonly #episodes: EpisodeRecord[] = [];
  readonly #lost: string[] = [];
  readonly #notWhole: string[] = [];
  /** Changes of leader after small faults. */
  readonly #needless: string[] = [];
  #lostCount = 0;
  #leader: string;
  readonly #beganMs = nowMs();

  constructor(terms: RunTerms, leader: string) {
    this.#terms = terms;
    this.#leader = leader;
  }

  /** Throws when the run is stopped, or cannot go on for a reason that is not the cluster's. */
  async all(): Promise<Record> {
    const { options, plan } = this.#terms;
    for (let number = 1; this.#notWhole.length === 0 && nowMs() - this.#beganMs < options.minutes * MINUTE_MS; number += 1) {
      await this.#episode(drawEpisode(plan, number));
    }
    return this.#verdict();
  }

  get #wholeWithinMs(): number {
    return WHOLE_WITHIN_MS + this.#terms.options.ttlSeconds * 2000;
  }

  async #episode(episode: Episode): Promise<void> {
    const { stage, clients, signal, say } = this.#terms;
    const hurtMs = nowMs();
    const before = this.#leader;
    const { wounds, what } = await this.#hurt(episode);
    const name = `#${episode.number} at ${seconds(hurtMs - this.#beganMs)}: ${what}`;
    say(name);
    await sleep(episode.holdMs, undefined, { signal });
    for (const wound of wounds.reverse()) await wound.heal();
    const healedMs = nowMs();
    let outageMs: number | null = null;
    let recoveryMs: number | null = null;
    const isServed = (leader: string) => clients.isServedBy(leader, healedMs);
    try {
      await stage.whole(this.#wholeWithinMs, isServed);
      recoveryMs = nowMs() - healedMs;
      // What comes late is still this episode's.
      await sleep(episode.calmMs, undefined, { signal });
      this.#leader = await stage.whole(this.#wholeWithinMs, isServed);
      outageMs = clients.outageMs(hurtMs, nowMs());
    } catch (error) {
      if (codeOf(error) !== 'CHAOS_NOT_WHOLE') throw error;
      this.#notWhole.push(`${name}: ${inWords(error)}; the clients' last error: ${clients.lastError ?? 'none'}`);
    }
    this.#episodes.push({ number: episode.number, group: groupOf(episode), outageMs, recoveryMs });
    if (this.#leader !== before) this.#needless.push(`${name}: ${this.#leader} leads after ${before}`);
    const lead = this.#leader === before ? `${before} leads on` : `${this.#leader} leads after ${before}`;
    const lost = this.#notWhole.length > 0 ? '' : await this.#noteLost(name);
    const healed = `healed after ${seconds(healedMs - hurtMs)}, whole after another ${seconds(recoveryMs)}`;
    say(`    outage ${seconds(outageMs)}, ${healed}, ${lead}${lost}`);
  }

  async #hurt({ faults, apartMs }: Episode): Promise<{ readonly wounds: Wound[]; readonly what: string }> {
    const { stage, signal } = this.#terms;
    const wounds: Wound[] = [];
    const what: string[] = [];
    for (const [index, fault] of faults.entries()) {
      if (index > 0) await sleep(apartMs, undefined, { signal });
      try {
        const wound = await inflict(stage, fault, this.#leader);
        wounds.push(wound);
        what.push(`${titleOf(fault)} (${wound.victim})`);
      } catch (error) {
        what.push(`${titleOf(fault)} (nothing to hurt: ${inWords(error)})`);
      }
    }
    return { wounds, what: what.join(' + ') };
  }

  /** The row is named with the fault that lost it. */
  async #noteLost(episode: string): Promise<string> {
    const { stage, clients } = this.#terms;
    const lost = await missingOn(stage.cluster.node(this.#leader), clients.unchecked());
    if (lost.length === 0) return '';
    this.#lostCount += lost.length;
    const text = `${lost.length} acknowledged writes are gone from ${this.#leader} (first ${lost[0]})`;
    this.#lost.push(`${episode}: ${text}`);
    return `; ${text}`;
  }

  async #verdict(): Promise<Record> {
    const { stage, clients, options } = this.#terms;
    await clients.stop();
    const findings = await this.#compare();
    const { reigns } = clients;
    const late = reigns.latenessMs();
    const rowCheck: Check = {
      what: options.mode === 'off' ? 'every node has the same rows' : 'every acknowledged write is on every node',
      violations: [...(options.mode === 'off' ? [] : this.#losses(findings)), ...findings.wrong],
      note: options.mode === 'off' ? `${Math.max(findings.lost.length, this.#lostCount)} acknowledged writes were lost` : '',
    };
    const overlaps = reigns.overlaps().map(({ old, next }) => {
      const how = `${old.node} acknowledged ${old.id} on timeline ${old.timeline}, sent ${Math.round(old.sentMs - next.atMs)} ms after`;
      return `${how} ${next.node} had acknowledged ${next.id} on timeline ${next.timeline}`;
    });
    const lateNote = late.length === 0 ? '' : `; writes under way were told up to ${Math.round(Math.max(...late))} ms later`;
    const title = `chaos: seed ${options.seed}, ${options.minutes} min, ${options.mode}, ${options.members} members, ttl ${options.ttlSeconds}: ${this.#episodes.length} episodes, ${clients.acknowledged.length} writes acknowledged (${clients.routedAcks} through the router), ${reigns.changes} changes of primary`;
    const checks = [
      rowCheck,
      {
        what: 'no two primaries acknowledged at the same time',
        violations: [...overlaps, ...reigns.twins()],
        note: `${reigns.timelines} timelines${lateNote}`,
      },
      { what: 'the cluster came back after each fault', violations: this.#notWhole, note: `${this.#wholeWithinMs / 1000} s each` },
      { what: 'no agent ended by itself', violations: stage.selfEnded, note: '' },
      ...(options.small ? [{ what: 'nobody lost the lead', violations: this.#needless, note: '' }] : []),
    ];
    return { title, episodes: this.#episodes, checks };
  }

  #losses({ lost }: Findings): string[] {
    if (lost.length === 0 && this.#lost.length === 0) return [];
    return [...this.#lost, `at the end ${lost.length} are missing (${lost.slice(0, 5).join(', ')})`];
  }

  /** A cluster that did not come back has no rows to compare. */
  async #compare(): Promise<Findings> {
    if (this.#notWhole.length > 0) return { lost: [], wrong: ['not compared: the cluster did not come back'] };
    try {
      const leader = await this.#terms.stage.whole(this.#wholeWithinMs);
      return await compareRows(this.#terms.stage.cluster, leader, this.#terms.clients);
    } catch (error) {
      this.#terms.signal.throwIfAborted();
      return { lost: [], wrong: [`not compared: ${inWords(error)}`] };
    }
  }
}
