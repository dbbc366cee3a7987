/**
 * Streaming from one server to another: one walsender and one walreceiver a link, WAL in order,
 * confirmations on the way back.
 */
import { slotNameOf } from '../../src/core/slot-names.ts';
import type { Lsn } from '../../src/core/units.ts';
import type { Gate } from './clock.ts';
import { canSend, endsHere, type Link, linked, nextTry, type Sender, silent } from './replication-link.ts';
import type { SimServer } from './server.ts';
import { aimsOn, continues, isPrefix } from './wal.ts';

/**
 * A standby asks again for its source this often (wal_retrieve_retry_interval, as members are
 * configured).
 */
const RETRY_MS = 100;
/** A silent other end counts as gone after this (wal_sender_timeout, wal_receiver_timeout). */
const TIMEOUT_MS = 5000;
/** The same with PostgreSQL's own settings (Network.lastingStreams). */
const LASTING_TIMEOUT_MS = 60_000;
/**
 * A standby that has nothing new says so every now and then; only that makes the source look again
 * at who waits.
 */
const STATUS_MS = 1000;

/**
 * What a walsender sends at once (MAX_SEND_SIZE). It streams when it has sent everything, whatever
 * its standby has confirmed.
 */
const SEND_BYTES = 131_072;

/** Why a standby does not stream although it should. */
export type Obstacle = 'unreachable' | 'not a prefix' | 'wal removed' | 'no slot' | 'slot in use' | 'not ahead of it' | 'other system';

export class Replication {
  readonly #server: SimServer;
  readonly #find: (host: string) => SimServer | null;
  readonly #links = new Set<Link>();
  readonly #strangers = new Set<Sender>();
  #upstream: Link | null = null;
  /** The machine on which it will ask again; off since then, nothing comes of it. */
  #retrying: Gate | null = null;
  /** Of the last try to connect. */
  obstacle: Obstacle | null = null;

  constructor(server: SimServer, find: (host: string) => SimServer | null) {
    this.#server = server;
    this.#find = find;
    // What kept it from asking may be over, and what kept it from hearing confirmations.
    server.parts.sim.onDisturbance.add(() => {
      this.retry();
      server.sessions.release();
    });
  }

  senders(): readonly Sender[] {
    const senders: Sender[] = [];
    for (const link of this.#links) if (link.sending) senders.push(link.sender);
    senders.push(...this.#strangers);
    return senders;
  }

  /**
   * A server that is no member's connects under the name of that one, and has all but the latest
   * WAL.
   */
  admitStranger(bears: SimServer): Sender {
    const { parts, position } = this.#server;
    const lsn = position.lsn;
    const sender: Sender = {
      standby: bears,
      pid: parts.rng.int(30_001, 60_000),
      state: 'catchup',
      writeLsn: null,
      flushLsn: lsn,
      replayLsn: lsn,
      confirmedAt: parts.sim.now,
      heardUntil: null,
      quietUntil: 0,
      stranger: true,
    };
    this.#strangers.add(sender);
    this.#server.changed();
    return sender;
  }

  dismissStranger(sender: Sender): void {
    if (!this.#strangers.delete(sender)) return;
    this.#server.changed();
    this.#server.sessions.release();
  }

  has(sender: Sender): boolean {
    return this.#strangers.has(sender);
  }

  #feed(sender: Sender): void {
    const { parts, position } = this.#server;
    parts.sim.after(parts.net.delay() * 2, () => {
      if (!this.#strangers.has(sender)) return;
      sender.flushLsn = position.lsn;
      sender.replayLsn = position.lsn;
      sender.confirmedAt = parts.sim.now;
      parts.gate().deliver('message', () => this.#server.sessions.release());
    });
  }

  /** The server that this one streams from now. */
  get source(): SimServer | null {
    return this.#upstream?.source ?? null;
  }

  /** The walsender from which this server receives now. */
  get receivesBy(): Sender | null {
    return this.#upstream?.sender ?? null;
  }

  /**
   * In a fast shutdown: a walsender ends once its standby has confirmed everything. True when none
   * is left.
   */
  drained(lsn: Lsn): boolean {
    for (const link of [...this.#links]) if (link.sender.flushLsn !== null && link.sender.flushLsn >= lsn) this.#endSender(link);
    for (const sender of [...this.#strangers]) if (sender.flushLsn !== null && sender.flushLsn >= lsn) this.dismissStranger(sender);
    return this.senders().length === 0;
  }

  /** SIGTERM to these walsenders. */
  end(pids: readonly number[]): void {
    for (const link of [...this.#links]) if (pids.includes(link.sender.pid)) this.#endSender(link);
    for (const sender of [...this.#strangers]) if (pids.includes(sender.pid)) this.dismissStranger(sender);
  }

  /** New WAL to send on. */
  advanced(): void {
    for (const link of this.#links) this.#send(link);
    for (const sender of this.#strangers) this.#feed(sender);
  }

  /** The settings in force may name another source. */
  configured(): void {
    const { live } = this.#server;
    if (this.#upstream !== null && this.#upstream.source.name !== live.source?.host) this.#endReceiver(this.#upstream);
    this.retry();
  }

  stopReceiving(): void {
    if (this.#upstream !== null) this.#endReceiver(this.#upstream);
  }

  /** The server's processes are gone. */
  ended(): void {
    this.stopReceiving();
    for (const link of [...this.#links]) this.#endSender(link);
    this.#strangers.clear();
  }

  retry(): void {
    const server = this.#server;
    if (this.#retrying?.dead === false || !server.seeksSource || this.#upstream !== null) return;
    const machine = server.parts.gate();
    this.#retrying = machine;
    const { process } = server;
    const again = () => {
      this.#retrying = null;
      if (server.process !== process) return this.retry();
      this.#connect();
      if (this.#upstream === null) this.retry();
    };
    server.parts.sim.after(RETRY_MS * server.parts.rng.between(0.5, 1), () => machine.deliver('message', again));
  }

  #connect(): void {
    const standby = this.#server;
    const { live, parts } = standby;
    if (!standby.seeksSource || live.source === null) return;
    const source = this.#find(live.source.host);
    this.obstacle = source === null ? 'unreachable' : this.#obstacleTo(source);
    if (source === null || this.obstacle !== null) return;
    const sender: Sender = {
      standby,
      pid: parts.rng.int(1000, 30_000),
      state: 'catchup',
      writeLsn: null,
      flushLsn: null,
      replayLsn: null,
      confirmedAt: parts.sim.now,
      heardUntil: null,
      quietUntil: 0,
    };
    const link: Link = {
      source,
      standby,
      sender,
      sending: true,
      receiving: true,
      busy: false,
      hearAgain: null,
      stopWatching: () => {},
    };
    this.#upstream = link;
    source.replication.#links.add(link);
    standby.connected(source);
    this.#watch(link);
    source.changed();
  }

  /**
   * What PostgreSQL looks at when a walreceiver asks to stream: timelines and positions by number,
   * the slot, and whether the WAL is still there.
   */
  #obstacleTo(source: SimServer): Obstacle | null {
    const standby = this.#server;
    if (source === standby || !source.accepts || source.dir !== 'valid' || !linked(standby, source)) return 'unreachable';
    if (source.systemId !== standby.systemId) return 'other system';
    // Files are looked for by number: that what they held was another's is seen only in the bytes.
    if (source.hasLostWalAt(standby.position)) return 'wal removed';
    if (!continues(standby.position, source.position) && !aimsOn(standby.position, source.position)) {
      const ahead = isPrefix(source.position, standby.position);
      return ahead ? 'not ahead of it' : 'not a prefix';
    }
    if (standby.live.slot !== '') {
      if (!source.slots.has(standby.live.slot)) return 'no slot';
      for (const link of source.replication.#links) if (link.sending && link.standby === standby) return 'slot in use';
    }
    return null;
  }

  /** Notices the silence of the other end, and goes on after a short one. */
  #watch(link: Link): void {
    const { sim, net } = link.standby.parts;
    const { sender } = link;
    const look = () => {
      if (silent(link)) {
        sender.heardUntil ??= sim.now;
        link.hearAgain ??= sim.after(net.lastingStreams ? LASTING_TIMEOUT_MS : TIMEOUT_MS, () => {
          this.#endReceiver(link);
          link.source.replication.#endSender(link);
        });
        return;
      }
      if (net.lastingStreams && link.hearAgain !== null && sender.heardUntil !== null) {
        sender.quietUntil = nextTry(sender.heardUntil, sim.now);
        sim.after(sender.quietUntil - sim.now, () => this.#send(link));
      }
      if (sim.now >= sender.quietUntil) sender.heardUntil = null;
      link.hearAgain?.();
      link.hearAgain = null;
      // What one end closed while the other could not hear it.
      if (!link.receiving) link.source.replication.#endSender(link);
      else if (!link.sending) this.#endReceiver(link);
      else this.#send(link);
    };
    sim.onDisturbance.add(look);
    link.stopWatching = () => {
      sim.onDisturbance.delete(look);
      link.hearAgain?.();
      link.hearAgain = null;
    };
    look();
  }

  /**
   * One batch at a time. What is lost on the way, or its confirmation, is sent again once the two
   * hear each other.
   */
  #send(link: Link): void {
    const { source, standby, sender } = link;
    if (!link.sending || link.busy || !canSend(link)) return;
    const { position } = source;
    if (sender.flushLsn !== null && sender.flushLsn >= position.lsn && standby.position.branch === position.branch) return;
    link.busy = true;
    const { sim, net } = source.parts;
    const end = () => {
      link.busy = false;
    };
    sim.after(net.delay(), () => {
      if (!link.receiving || !net.up(source.name, standby.name)) return end();
      standby.parts.gate().deliver('message', () => {
        if (!link.receiving || standby.process?.hung) return end();
        if (standby.process?.promoting || !isPrefix(standby.position, position) || endsHere(standby, position)) {
          end();
          return this.#endReceiver(link);
        }
        this.#written(link, position.lsn);
        standby.write(position, () => {
          if (!link.receiving) return end();
          sim.after(net.delay(), () => {
            link.busy = false;
            if (net.up(standby.name, source.name)) source.parts.gate().deliver('message', () => this.#confirmed(link, position.lsn));
          });
        });
      });
    });
  }

  /**
   * A walreceiver tells what it has handed to its kernel before it flushes
   * (src/backend/replication/walreceiver.c).
   */
  #written({ source, standby, sender }: Link, lsn: Lsn): void {
    if (!source.sessions.wantsWrites) return;
    const { sim, net, gate } = source.parts;
    sim.after(net.delay(), () => {
      if (!net.up(standby.name, source.name)) return;
      gate().deliver('message', () => {
        sender.writeLsn = lsn;
        source.sessions.release();
      });
    });
  }

  #confirmed(link: Link, lsn: Lsn): void {
    const { source, standby, sender } = link;
    if (!link.sending) return;
    sender.flushLsn = lsn;
    sender.writeLsn = null;
    sender.confirmedAt = source.parts.sim.now;
    sender.heardUntil = null;
    sender.replayLsn = standby.replayLsn < lsn ? standby.replayLsn : lsn;
    if (source.process?.hung) return;
    const slot = slotNameOf(standby.name);
    if (standby.live.slot === slot && source.slots.has(slot)) source.slots.set(slot, lsn);
    if (sender.state === 'catchup' && source.position.lsn - lsn <= SEND_BYTES) {
      sender.state = 'streaming';
      source.changed();
    }
    source.sessions.release();
    this.#send(link);
  }

  /** The walreceiver ends; its source learns of it if it can. */
  #endReceiver(link: Link): void {
    if (!link.receiving) return;
    link.receiving = false;
    const { source, standby } = link;
    if (standby.replication.#upstream === link) standby.replication.#upstream = null;
    standby.replication.retry();
    const { sim, net } = standby.parts;
    if (net.up(standby.name, source.name))
      sim.after(net.delay(), () => source.parts.gate().deliver('message', () => source.replication.#endSender(link)));
    standby.changed();
  }

  /** The walsender ends, and its standby learns of it if it can. */
  #endSender(link: Link): void {
    if (!link.sending) return;
    link.sending = false;
    link.stopWatching();
    this.#links.delete(link);
    const { source, standby } = link;
    const { sim, net } = source.parts;
    if (link.receiving) {
      if (net.up(source.name, standby.name))
        sim.after(net.delay(), () => standby.parts.gate().deliver('message', () => this.#endReceiver(link)));
      else sim.after(TIMEOUT_MS, () => standby.parts.gate().deliver('message', () => this.#endReceiver(link)));
    }
    source.changed();
    // Nobody looks at who waits because somebody left: the next word of a standby does, or a
    // reload.
    sim.after(source.parts.rng.between(0, STATUS_MS), () => source.parts.gate().deliver('message', () => source.sessions.release()));
  }
}
