/**
 * Listens to a world and writes down what a reader of its story needs: changes of rules, of shared
 * keys, and of what PostgreSQL does.
 */
import { formatLsn, type Lsn } from '../../src/core/units.ts';
import type { World } from '../sim/world.ts';

export interface Entry {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
}

/** What the trace says that the story has from elsewhere, or that says nothing more. */
const LEFT_OUT = /ends recovery on|machine (on|off)|agent (starts|killed|frozen|thawed)|suspended|resumed|disk lost|callback|checkpoint$/;
/** A job is work that a rule before it has asked for. */
const IN_BETWEEN = 'job.running';

export class Recorder {
  readonly entries: Entry[] = [];
  readonly #world: World;
  readonly #startMs: number;
  readonly #startLsn: Lsn;
  readonly #rules = new Map<string, string>();
  readonly #because = new Map<string, string>();
  #lines: number;
  #leaseId: string | null;

  constructor(world: World) {
    this.#world = world;
    this.#startMs = world.sim.now;
    this.#startLsn = world.primary.server.position.lsn;
    this.#lines = world.lines.length;
    this.#leaseId = world.etcd.get('leader')?.leaseId ?? null;
    for (const machine of world.machines) this.#rules.set(machine.name, machine.rules.at(-1) ?? '');
    world.etcd.listeners.add(({ key, deleted }) => this.#onKey(key, deleted));
    world.sim.afterEvent.push(() => this.look());
  }

  get nowMs(): number {
    return this.#world.sim.now - this.#startMs;
  }

  add(who: string, what: string): void {
    this.look();
    this.#add(who, what);
  }

  #add(who: string, what: string): void {
    this.entries.push({ atMs: this.nowMs, who, what: this.relative(what) });
  }

  /** Positions as bytes written since the story began. */
  relative(text: string): string {
    return text.replace(/\b([0-9A-F]+)\/([0-9A-F]{1,8})\b/g, (_, high: string, low: string) => {
      const bytes = ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) - this.#startLsn;
      return bytes < 0n ? `${bytes} B` : `+${bytes} B`;
    });
  }

  /** Writes down what has happened since the last look. */
  look(): void {
    const { lines, machines } = this.#world;
    for (; this.#lines < lines.length; this.#lines += 1) this.#onLine(lines[this.#lines]?.slice(12) ?? '');
    for (const { name, agent } of machines) {
      const decision = agent?.rounds.last?.decision;
      if (decision === undefined || decision.rule === IN_BETWEEN) continue;
      const because = withoutNumbers(decision.because);
      if (this.#rules.get(name) === decision.rule && (this.#because.get(name) ?? because) === because) continue;
      const known = this.#rules.get(name) === decision.rule && !decision.rule.startsWith('race.');
      this.#rules.set(name, decision.rule);
      this.#because.set(name, because);
      if (!known) this.#add(name, `rule ${decision.rule}: ${decision.because}`);
    }
  }

  #onLine(line: string): void {
    if (LEFT_OUT.test(line)) return;
    const [, before = '', told = ''] = /^(haproxy|router) (.*)$/.exec(line) ?? [];
    if (before !== '') this.#add(before, told);
    const [, name = '', what = ''] = /^(\w+) (PostgreSQL .*|guard fired|agent ends .*)$/.exec(line) ?? [];
    if (name === '') return;
    const waits = /^PostgreSQL waits for '(.*)'$/.exec(what);
    const promoted = /^PostgreSQL promoted to (timeline \d+)/.exec(what);
    if (waits !== null) this.#add(name, `PostgreSQL: commits wait for ${waits[1] === '' ? 'nobody' : waits[1]}`);
    else if (promoted !== null) this.#add(name, `PostgreSQL takes writes on ${promoted[1]}`);
    else this.#add(name, what.replace('guard fired', 'guard strikes: the deadline has passed, and PostgreSQL is stopped at once'));
  }

  #onKey(key: string, deleted: boolean): void {
    this.look();
    const { etcd } = this.#world;
    if (key === 'leader') {
      const how = this.#leaseId !== null && etcd.leases.has(this.#leaseId) ? 'given back' : 'its lease has ended';
      const stored = etcd.get('leader');
      this.#leaseId = stored?.leaseId ?? null;
      this.#add('etcd', stored === null ? `leader: nobody (${how})` : `leader: ${stored.value}`);
    } else if (key === 'sync') {
      const { sync } = etcd.view();
      const standbys = sync === null || sync.standbys.length === 0 ? 'nobody' : sync.standbys.join(', ');
      const quorum = this.#world.orders.mode === 'quorum' ? `, quorum ${sync?.quorum}` : '';
      this.#add('etcd', deleted || sync === null ? 'sync: gone' : `sync: leader ${sync.leader ?? 'nobody'}, standbys ${standbys}${quorum}`);
    } else if (key === 'failover') {
      this.#add('etcd', `failover: ${deleted ? 'gone' : etcd.get(key)?.value}`);
    } else if (key === 'history') {
      const last = etcd.view().history.at(-1);
      if (last !== undefined)
        this.#add('etcd', `history: timeline ${last.timeline} ended at ${formatLsn(last.switchLsn)}, then ${last.newLeader ?? 'nobody'}`);
    }
  }
}

const withoutNumbers = (text: string): string => text.replace(/[0-9A-F]+\/[0-9A-F]+|\d+/g, '');
