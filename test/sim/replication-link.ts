/** One walsender, the walreceiver it sends to, and what each of them can hear. */
import type { Lsn } from '../../src/core/units.ts';
import type { SimServer } from './server.ts';
import type { Position } from './wal.ts';

/** TCP tries again after this, and after twice as long each time. */
const FIRST_TRY_MS = 200;
/** wal_receiver_status_interval: who has nothing to confirm replies this often. */
const REPLY_MS = 10_000;

export interface Sender {
  readonly standby: SimServer;
  readonly pid: number;
  state: 'catchup' | 'streaming';
  /**
   * Told ahead of the flush, where somebody waits for it; null: nothing is known beyond what is
   * flushed.
   */
  writeLsn: Lsn | null;
  /** As last confirmed by the standby; null until its first word. */
  flushLsn: Lsn | null;
  replayLsn: Lsn | null;
  confirmedAt: number;
  /** When the standby was last within hearing; null: it is. */
  heardUntil: number | null;
  /** Nothing flows before this. */
  quietUntil: number;
  /**
   * A server that is no member's, and only bears that name. It confirms what it is sent without a
   * slot.
   */
  readonly stranger?: true;
}

export interface Link {
  readonly source: SimServer;
  readonly standby: SimServer;
  readonly sender: Sender;
  /** Of the walsender and of the walreceiver: either may outlive the other until it notices. */
  sending: boolean;
  receiving: boolean;
  /** A batch is on its way, or its confirmation. */
  busy: boolean;
  /** Takes back its end, which is near because the other end is silent; null: it is heard. */
  hearAgain: (() => void) | null;
  stopWatching: () => void;
}

/** What these ask for has to tell the simulation when it changes (Simulation.disturbed). */
export const linked = (a: SimServer, b: SimServer) => a.parts.net.up(a.name, b.name) && b.parts.net.up(b.name, a.name);
export const still = (server: SimServer) => server.parts.gate().frozen || server.process?.hung === true;
export const silent = (link: Link) => !linked(link.source, link.standby) || still(link.source) || still(link.standby);
/**
 * At the end of a timeline a walreceiver waits for the startup process to name the next one
 * (WALRCV_WAITING). A pause keeps the startup process from that.
 */
export const endsHere = ({ position, process }: SimServer, sent: Position) =>
  process?.replaying === true && sent.branch !== position.branch;
export const canSend = (link: Link) =>
  !still(link.source) &&
  link.source.parts.net.up(link.source.name, link.standby.name) &&
  link.source.parts.sim.now >= link.sender.quietUntil;

export function nextTry(silentSince: number, now: number): number {
  let at = silentSince + FIRST_TRY_MS;
  for (let wait = 2 * FIRST_TRY_MS; at <= now; wait *= 2) at += wait;
  return at;
}

/** When the source last heard of this standby (reply_time), by true time. */
export function repliedAt(sender: Sender, now: number): number {
  const heard = sender.heardUntil ?? now;
  return Math.max(sender.confirmedAt, heard - ((heard - sender.confirmedAt) % REPLY_MS));
}
