/**
 * The Dcs port of one agent over the model of etcd. Like the real client it repeats a request whose
 * answer does not come. So a write may be applied twice, or after its caller gave up. Like there,
 * each write is made so that its copies can tell.
 */
import { encodeFailover, encodeStatus, encodeSync, statusObject } from '../../src/adapters/etcd/encode.ts';
import { memberKey } from '../../src/adapters/etcd/keys.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { CallOptions, Dcs, InitializeMark } from '../../src/ports/dcs.ts';
import { stringifyCompact } from '../../src/support/big-json.ts';
import { DcsError } from '../../src/support/errors.ts';
import type { Gate, Simulation } from './clock.ts';
import { type Etcd, type EtcdMember, type KeyEvent, MEMBERS, NoSpace, OWN_CLUSTER } from './etcd.ts';
import type { Network } from './network.ts';

export interface DcsParts {
  readonly sim: Simulation;
  readonly net: Pick<Network, 'reaches' | 'requestDelay' | 'replyDelay' | 'delay' | 'losesReply' | 'watchLagMs'>;
  readonly etcd: Etcd;
  readonly machine: string;
  readonly gate: Gate;
  readonly clock: Clock;
  /**
   * Another etcd that answers at an address which etcd advertises, on this machine itself; null:
   * nobody does.
   */
  readonly stranger?: () => Etcd | null;
  /** Told of every configuration that etcd gives this machine. */
  readonly sawConfig?: (paused: boolean) => void;
}

interface Copy {
  /** An earlier copy of this call was sent and its fate is not known. */
  readonly repeated: boolean;
  /**
   * It arrives after its caller has given up, gone on or died: nobody there looks at the key again
   * and repeats the call.
   */
  readonly late: boolean;
  /**
   * The newest revision this client knew when the call began; a late copy must not undo what came
   * after.
   */
  readonly known: bigint;
}

const STAGGER_MAX_MS = 400;
const WATCH_RETRY_MS = 300;

export function simDcs(parts: DcsParts): Dcs {
  const own = new SimDcs(parts);
  let other: { readonly etcd: Etcd; readonly dcs: SimDcs } | null = null;
  const spokenTo = (): SimDcs => {
    const stranger = parts.stranger?.() ?? null;
    if (stranger === null || !isOurs(stranger)) return own;
    if (other?.etcd !== stranger) other = { etcd: stranger, dcs: new SimDcs({ ...parts, etcd: stranger, net: loopback }) };
    return other.dcs;
  };
  return new Proxy<Dcs>(own, {
    get: (_own, name) => {
      const dcs = spokenTo();
      const value: unknown = Reflect.get(dcs, name, dcs);
      return typeof value === 'function' ? value.bind(dcs) : value;
    },
  });
}

/**
 * The promise of the port: an etcd of another cluster id does not answer. The real client keeps it
 * by identity.ts.
 */
function isOurs({ clusterId }: Etcd): boolean {
  return clusterId === OWN_CLUSTER;
}

const loopback: DcsParts['net'] = {
  reaches: () => true,
  requestDelay: () => 1,
  replyDelay: () => 1,
  delay: () => 1,
  losesReply: () => false,
  watchLagMs: 0,
};

class SimDcs implements Dcs {
  readonly #parts: DcsParts;
  readonly #watches = new Set<{ close(): void }>();
  #known = 0n;
  /** Asked first: the member that answered last. */
  #preferred = 0;

  constructor(parts: DcsParts) {
    this.#parts = parts;
  }

  bind(): void {}

  read = async (options: CallOptions) => {
    const view = await this.#call(options, () => this.#parts.etcd.view());
    this.#parts.sawConfig?.(view.config?.data['pause'] === true);
    return view;
  };
  grantLease = (ttlSeconds: number, options: CallOptions) => this.#call(options, () => this.#parts.etcd.grant(ttlSeconds));
  keepAlive = (leaseId: string, options: CallOptions) => this.#call(options, () => this.#parts.etcd.keepAlive(leaseId));
  revokeLease = (leaseId: string, options: CallOptions) => this.#call(options, () => this.#parts.etcd.revoke(leaseId));

  acquireLeader(name: string, leaseId: string, options: CallOptions): Promise<boolean> {
    return this.#call(options, (copy) => this.#create('leader', name, leaseId, memberKey(name), copy));
  }

  attachLeader(name: string, leaseId: string, options: CallOptions): Promise<boolean> {
    const { etcd } = this.#parts;
    return this.#call(options, (copy) => {
      const stored = etcd.get('leader');
      if (stored === null) return this.#create('leader', name, leaseId, memberKey(name), copy);
      if (stored.value !== name || stored.leaseId === leaseId) return stored.value === name;
      if (copy.late && stored.modRevision > copy.known) return false;
      etcd.put('leader', name, leaseId);
      return true;
    });
  }

  releaseLeader(name: string, options: CallOptions): Promise<boolean> {
    const { etcd } = this.#parts;
    return this.#call(options, (copy) => {
      const stored = etcd.get('leader');
      if (stored?.value === name && copy.late && stored.modRevision > copy.known) return false;
      if (stored?.value === name) return etcd.delete('leader');
      return copy.repeated && (stored === null || stored.createRevision > copy.known);
    });
  }

  async putMember(name: string, value: Parameters<Dcs['putMember']>[1], leaseId: string | null, options: CallOptions): Promise<void> {
    await this.#overwrite(memberKey(name), stringifyCompact(value), leaseId, options);
  }

  deleteMember = (name: string, options: CallOptions) => this.#remove(memberKey(name), options);

  raceInitialize(leaseId: string, options: CallOptions): Promise<boolean> {
    return this.#call(options, (copy) => this.#create('initialize', '', leaseId, null, copy));
  }

  async writeInitialize(systemIdentifier: string, onlyIfAbsent: boolean, options: CallOptions): Promise<boolean> {
    if (onlyIfAbsent) return this.#call(options, (copy) => this.#create('initialize', systemIdentifier, null, null, copy));
    await this.#overwrite('initialize', systemIdentifier, null, options);
    return true;
  }

  publishInitialize(systemIdentifier: string, leaseId: string, options: CallOptions): Promise<string | null> {
    const { etcd } = this.#parts;
    return this.#call(options, ({ repeated, known }) => {
      const stored = etcd.get('initialize');
      if (stored?.value === '' && stored.leaseId === leaseId) return String(etcd.put('initialize', systemIdentifier, null));
      if (!repeated || stored === null || stored.modRevision <= known) return null;
      return stored.value === systemIdentifier && stored.leaseId === null ? String(stored.modRevision) : null;
    });
  }

  clearInitialize(own: InitializeMark, options: CallOptions): Promise<boolean> {
    const { etcd } = this.#parts;
    return this.#call(options, ({ repeated }) => {
      const stored = etcd.get('initialize');
      if (stored === null) return repeated;
      const asLeft =
        'leaseId' in own ? stored.value === '' && stored.leaseId === own.leaseId : String(stored.modRevision) === own.modRevision;
      return asLeft && etcd.delete('initialize');
    });
  }

  async writeConfig(data: Parameters<Dcs['writeConfig']>[0], expected: Parameters<Dcs['writeConfig']>[1], options: CallOptions) {
    const value = stringifyCompact(data);
    if (expected === null) return String(await this.#overwrite('config', value, null, options));
    const revision = await this.#replace('config', value, expected.modRevision, options);
    return revision === null ? null : String(revision);
  }

  async writeFailover(request: Parameters<Dcs['writeFailover']>[0], expected: Parameters<Dcs['writeFailover']>[1], options: CallOptions) {
    const value = encodeFailover(request);
    if (expected !== null) return (await this.#replace('failover', value, expected.modRevision, options)) !== null;
    await this.#overwrite('failover', value, null, options);
    return true;
  }

  async writeSync(value: Parameters<Dcs['writeSync']>[0], expected: Parameters<Dcs['writeSync']>[1], options: CallOptions) {
    const text = encodeSync(value);
    if (expected === null) return this.#call(options, (copy) => this.#create('sync', text, null, null, copy));
    return (await this.#replace('sync', text, expected.modRevision, options)) !== null;
  }

  deleteSync(expected: Parameters<Dcs['deleteSync']>[0], options: CallOptions): Promise<boolean> {
    const { etcd } = this.#parts;
    return this.#call(options, (copy) => {
      const stored = etcd.get('sync');
      if (String(stored?.modRevision) === expected.modRevision) return etcd.delete('sync');
      return copy.repeated && stored === null;
    });
  }

  async writeStatus(value: Parameters<Dcs['writeStatus']>[0], options: CallOptions): Promise<void> {
    await this.#overwrite('status', encodeStatus(value), null, options);
  }

  async amendStatus(change: Parameters<Dcs['amendStatus']>[0], options: CallOptions): Promise<boolean> {
    const stored = this.#parts.etcd.get('status');
    const value = encodeStatus(change(statusObject(stored?.value ?? '{}')));
    if (stored === null) return this.#call(options, (copy) => this.#create('status', value, null, null, copy));
    return (await this.#replace('status', value, String(stored.modRevision), options)) !== null;
  }

  async writeHistory(value: Parameters<Dcs['writeHistory']>[0], options: CallOptions): Promise<void> {
    await this.#overwrite('history', stringifyCompact(value), null, options);
  }

  async removeCluster(options: CallOptions): Promise<void> {
    const { etcd } = this.#parts;
    await this.#call(options, () => {
      for (const key of [...etcd.keys.keys()]) etcd.delete(key);
    });
  }

  watch(listener: (event: { readonly key: string | null; readonly deleted: boolean }) => void): { close(): void } {
    const { sim, net, etcd, machine, gate } = this.#parts;
    let closed = false;
    let stands: EtcdMember | null = null;
    let next = this.#preferred;
    const reachable = (member: EtcdMember) => etcd.stands(member) && net.reaches(member, machine) && net.reaches(machine, member);
    const tell = (event: { readonly key: string | null; readonly deleted: boolean }) =>
      sim.after(net.delay() + net.watchLagMs, () => gate.deliver('message', () => closed || listener(event)));
    const onEvent = (event: KeyEvent) => {
      if (stands === null) return;
      if (!reachable(stands)) broken();
      else if (etcd.serves(stands)) tell(event);
    };
    const open = () => {
      if (closed || gate.dead) return close();
      const member = MEMBERS[next % MEMBERS.length]!;
      if (!reachable(member)) {
        next += 1;
        return void sim.after(WATCH_RETRY_MS, open);
      }
      stands = member;
      // One that is cut off from the others takes the watch, and says nothing.
      if (etcd.serves(member)) tell({ key: null, deleted: false });
    };
    const broken = () => {
      if (stands === null) return;
      stands = null;
      sim.after(WATCH_RETRY_MS, open);
    };
    const close = () => {
      closed = true;
      etcd.listeners.delete(onEvent);
      etcd.onWatchesBroken.delete(broken);
      this.#watches.delete(handle);
    };
    const handle = { close };
    etcd.listeners.add(onEvent);
    etcd.onWatchesBroken.add(broken);
    this.#watches.add(handle);
    open();
    return handle;
  }

  async health() {
    return [];
  }

  close(): void {
    for (const watch of [...this.#watches]) watch.close();
  }

  /**
   * Creates the key if it is absent; a copy finds what an earlier one did. `fence`: once that key
   * was written again, a late copy is void.
   */
  #create(key: string, value: string, leaseId: string | null, fence: string | null, copy: Copy): boolean {
    const { etcd } = this.#parts;
    const stored = etcd.get(key);
    if (stored !== null) return (leaseId !== null || copy.repeated) && stored.value === value && stored.leaseId === leaseId;
    if (copy.late && fence !== null && (etcd.get(fence)?.modRevision ?? 0n) > copy.known) return false;
    etcd.put(key, value, leaseId);
    return true;
  }

  #overwrite(key: string, value: string, leaseId: string | null, options: CallOptions): Promise<bigint> {
    const { etcd } = this.#parts;
    return this.#call(options, (copy) => {
      const stored = etcd.get(key);
      if (copy.late && stored !== null && stored.modRevision > copy.known) return stored.modRevision;
      if (copy.repeated && stored !== null && stored.value === value && stored.leaseId === leaseId) return stored.modRevision;
      return etcd.put(key, value, leaseId);
    });
  }

  #replace(key: string, value: string, modRevision: string, options: CallOptions): Promise<bigint | null> {
    const { etcd } = this.#parts;
    return this.#call(options, (copy) => {
      const stored = etcd.get(key);
      if (String(stored?.modRevision) === modRevision) return etcd.put(key, value, null);
      if (!copy.repeated || stored === null || stored.value !== value) return null;
      return stored.modRevision > BigInt(modRevision) ? stored.modRevision : null;
    });
  }

  async #remove(key: string, options: CallOptions): Promise<void> {
    const { etcd } = this.#parts;
    await this.#call(options, (copy) => {
      if (!copy.late || (etcd.get(key)?.modRevision ?? 0n) <= copy.known) etcd.delete(key);
    });
  }

  /** Sends the request, again and again until an answer comes, and gives up at the deadline. */
  #call<T>({ timeoutMs }: CallOptions, apply: (copy: Copy) => T): Promise<T> {
    const { sim, net, etcd, machine, gate, clock } = this.#parts;
    const known = this.#known;
    return new Promise((resolve, reject) => {
      let over = false;
      let copies = 0;
      let cancelRepeat = () => {};
      const finish = (end: () => void) => {
        if (over) return;
        over = true;
        cancelRepeat();
        cancelDeadline();
        end();
      };
      const answer = (from: number, end: () => void) => {
        if (net.losesReply(machine)) return;
        const revision = etcd.revision;
        sim.after(net.replyDelay(), () => {
          if (!net.reaches(MEMBERS[from]!, machine)) return;
          gate.deliver('message', () => {
            if (revision > this.#known) this.#known = revision;
            this.#preferred = from;
            finish(end);
          });
        });
      };
      const arrive = (to: number, repeated: boolean) => {
        if (!etcd.serves(MEMBERS[to]!) || !net.reaches(machine, MEMBERS[to]!)) return;
        try {
          const value = apply({ repeated, known, late: over || gate.dead });
          answer(to, () => resolve(value));
        } catch (error) {
          answer(to, () => reject(error instanceof NoSpace ? new DcsError('DCS_REFUSED', `etcd refused: ${error.message}`) : error));
        }
      };
      const first = this.#preferred;
      const send = () => {
        const repeated = copies > 0;
        const to = (first + copies) % MEMBERS.length;
        copies += 1;
        if (net.reaches(machine, MEMBERS[to]!)) sim.after(net.requestDelay(), () => arrive(to, repeated));
        cancelRepeat = clock.timer(Math.min(STAGGER_MAX_MS, timeoutMs / 4), send);
      };
      const cancelDeadline = clock.timer(timeoutMs, () =>
        finish(() => reject(new DcsError('DCS_UNREACHABLE', `etcd did not answer within ${Math.round(timeoutMs)} ms`))),
      );
      send();
    });
  }
}
