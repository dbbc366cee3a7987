/** Streaming from one server to another: one link a standby, WAL in order, confirmations on the way back. */
import { sameName } from '../../src/core/cluster.ts';
import { realNames, type SyncNames } from '../../src/core/sync-names.ts';
import type { Lsn } from '../../src/core/units.ts';
import type { SimServer } from './server.ts';
import { isPrefix } from './wal.ts';

/** A standby asks again for its source this often (wal_retrieve_retry_interval). */
const RETRY_MS = 100;
/** A silent other end counts as gone after this (wal_sender_timeout, wal_receiver_timeout). */
const TIMEOUT_MS = 5000;
const LASTING_TIMEOUT_MS = 60_000;
const LOOK_MS = 100;
/** TCP tries again after this, and after twice as long each time. */
const FIRST_TRY_MS = 200;
/** wal_receiver_status_interval */
const STATUS_MS = 10_000;

export interface Sender {
  readonly standby: SimServer;
  readonly pid: number;
  /** As last confirmed by the standby. */
  flushLsn: Lsn;
  repliedAt: number;
}

interface Link {
  readonly source: SimServer;
  readonly standby: SimServer;
  readonly sender: Sender;
  open: boolean;
  /** A batch is on its way, or its confirmation. */
  busy: boolean;
  lastHeardAt: number;
  /** Nothing flows before this. */
  nextTryAt: number;
}

/** Whether a commit at `lsn` may be acknowledged: PostgreSQL's meaning of synchronous_standby_names. */
export function confirms(names: SyncNames, senders: readonly Sender[], lsn: Lsn): boolean {
  if (names.method === 'off') return true;
  const real = realNames(names);
  const listed = senders.filter((sender) => real.some((name) => sameName(name, sender.standby.name)));
  if (names.method === 'quorum') return listed.filter((sender) => sender.flushLsn >= lsn).length >= names.count;
  const rank = (sender: Sender) => real.findIndex((name) => sameName(name, sender.standby.name));
  const first = [...listed].sort((a, b) => rank(a) - rank(b)).slice(0, names.count);
  return first.length === names.count && first.every((sender) => sender.flushLsn >= lsn);
}

export class Replication {
  readonly #server: SimServer;
  readonly #find: (host: string) => SimServer | null;
  readonly #links = new Set<Link>();
  #upstream: Link | null = null;
  #retrying = false;

  constructor(server: SimServer, find: (host: string) => SimServer | null) {
    this.#server = server;
    this.#find = find;
  }

  senders(): readonly Sender[] {
    return [...this.#links].filter((link) => link.open).map((link) => link.sender);
  }

  /** Whom this server streams from now. */
  get source(): SimServer | null {
    return this.#upstream?.source ?? null;
  }

  allHave(lsn: Lsn): boolean {
    return this.senders().every((sender) => sender.flushLsn >= lsn);
  }

  /** New WAL to send on. */
  advanced(): void {
    for (const link of this.#links) this.#send(link);
  }

  /** The settings in force may name another source. */
  configured(): void {
    const { live } = this.#server;
    if (this.#upstream !== null && this.#upstream.source.name !== live.source?.host) this.#close(this.#upstream);
    this.#retry();
  }

  stopReceiving(): void {
    if (this.#upstream !== null) this.#close(this.#upstream);
  }

  /** The server's processes are gone. */
  ended(): void {
    this.stopReceiving();
    for (const link of [...this.#links]) this.#close(link);
  }

  #retry(): void {
    const server = this.#server;
    if (this.#retrying || !server.running || !server.inRecovery || server.live.source === null || this.#upstream !== null) return;
    this.#retrying = true;
    const { process } = server;
    const again = () => {
      this.#retrying = false;
      if (server.process !== process) return;
      this.#connect();
      if (this.#upstream === null) this.#retry();
    };
    const machine = server.parts.gate();
    server.parts.sim.after(RETRY_MS * server.parts.rng.between(0.5, 1), () =>
      machine.dead ? this.#forget() : machine.deliver('message', again),
    );
  }

  #forget(): void {
    this.#retrying = false;
  }

  #connect(): void {
    const standby = this.#server;
    const { live, parts } = standby;
    if (!standby.running || !standby.inRecovery || standby.process?.promoting || standby.process?.ending || live.source === null) return;
    const source = this.#find(live.source.host);
    if (source === null || source === standby || !source.running || source.process?.hung || source.dir !== 'valid') return;
    if (!linked(standby, source) || source.systemId !== standby.systemId || !isPrefix(standby.position, source.position)) return;
    const sender: Sender = { standby, pid: parts.rng.int(1000, 30_000), flushLsn: standby.position.lsn, repliedAt: parts.sim.now };
    const link: Link = { source, standby, sender, open: true, busy: false, lastHeardAt: parts.sim.now, nextTryAt: 0 };
    this.#upstream = link;
    source.replication.#links.add(link);
    standby.received({ branch: source.position.branch, lsn: standby.position.lsn });
    this.#watch(link);
    this.#send(link);
  }

  /** Notices the silence of the other end, and goes on after a short one. */
  #watch(link: Link): void {
    const { sim, net } = link.standby.parts;
    const lasting = net.lastingStreams;
    sim.after(LOOK_MS, () => {
      if (!link.open) return;
      if (!linked(link.standby, link.source) && lasting) link.nextTryAt = nextTry(link.lastHeardAt, sim.now);
      if (flows(link) && !frozen(link)) {
        link.lastHeardAt = sim.now;
        if (sim.now - link.sender.repliedAt >= STATUS_MS) link.sender.repliedAt = sim.now;
      }
      if (sim.now - link.lastHeardAt >= (lasting ? LASTING_TIMEOUT_MS : TIMEOUT_MS)) return this.#close(link);
      this.#send(link);
      this.#watch(link);
    });
  }

  #send(link: Link): void {
    const { source, standby, sender } = link;
    if (!link.open || link.busy || !flows(link)) return;
    const { position } = source;
    if (sender.flushLsn >= position.lsn && standby.position.branch === position.branch) return;
    if (source.process?.hung || source.parts.gate().frozen) return;
    link.busy = true;
    const { sim, net } = source.parts;
    const lost = () => {
      link.busy = false;
    };
    sim.after(net.delay(), () => {
      if (!link.open || !linked(source, standby)) return lost();
      standby.parts.gate().deliver('message', () => {
        if (!link.open || standby.process?.promoting || !isPrefix(standby.position, position)) return this.#close(link);
        standby.received(position);
        sim.after(net.delay(), () => {
          link.busy = false;
          if (!link.open || !linked(standby, source)) return;
          source.parts.gate().deliver('message', () => {
            if (!link.open) return;
            sender.flushLsn = position.lsn;
            sender.repliedAt = sim.now;
            source.releaseWaiting();
            this.#send(link);
          });
        });
      });
    });
  }

  #close(link: Link): void {
    if (!link.open) return;
    link.open = false;
    link.source.replication.#links.delete(link);
    const { standby } = link;
    if (standby.replication.#upstream === link) standby.replication.#upstream = null;
    standby.replication.#retry();
    link.source.releaseWaiting();
  }
}

/** WAL one way and confirmations the other: without both directions nothing flows. */
const linked = (a: SimServer, b: SimServer) => a.parts.net.up(a.name, b.name) && b.parts.net.up(b.name, a.name);
const flows = (link: Link) => linked(link.source, link.standby) && link.source.parts.sim.now >= link.nextTryAt;

function nextTry(silentSince: number, now: number): number {
  let at = silentSince + FIRST_TRY_MS;
  for (let wait = 2 * FIRST_TRY_MS; at <= now; wait *= 2) at += wait;
  return at;
}

const frozen = (link: Link) => link.source.parts.gate().frozen || link.standby.parts.gate().frozen || link.source.process?.hung === true;
