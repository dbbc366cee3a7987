/** What is asked for with logical slots, and what came of it. Both are plain data. */
import type { Lsn } from '../units.ts';

/** As it is wanted. */
export interface LogicalSlot {
  readonly name: string;
  readonly database: string;
  readonly plugin: string;
}

/** Takes long, and may wait for transactions of clients: done beside the rounds. */
export interface LogicalWork {
  readonly create: readonly LogicalSlot[];
  readonly advance: readonly { readonly name: string; readonly database: string; readonly to: Lsn }[];
  /** What the primary holds back for these slots of a standby; null: nothing is to be asked. */
  readonly compare: Comparison | null;
}

export interface Comparison {
  /** Where it is asked. */
  readonly leader: { readonly name: string; readonly host: string; readonly port: number };
  /** The primary's slot by which this standby tells it what it needs. */
  readonly physical: string;
  readonly names: readonly string[];
}

export interface LogicalOutcome {
  /** Loop clock, ms. */
  readonly endedAtMs: number;
  /** Slots that can never be read here: their WAL is not here, or PostgreSQL has given them up. */
  readonly broken: readonly string[];
  /** What the primary said, on one look; null: it was not asked, or did not answer. */
  readonly held: Held | null;
}

/** Transaction ids, as text; null: it holds none back. */
export interface Held {
  readonly leader: string;
  readonly physical: string | null;
  /** By logical slot. */
  readonly logical: Readonly<Record<string, string | null>>;
}

export interface LogicalMemory {
  /** When work with logical slots last ended; null: it has not. */
  readonly endedAtMs: number | null;
  /** The leader that `safeFrom` is about. */
  readonly leader: string | null;
  /** By slot: from which catalog_xmin on it has everything that it may need. */
  readonly safeFrom: Readonly<Record<string, string>>;
  readonly broken: readonly string[];
  /** By slot: how often PostgreSQL was stopped to copy it, in vain or not, and when last. */
  readonly copies: Readonly<Record<string, { readonly count: number; readonly atMs: number }>>;
  /** Since when this standby has lacked a slot that the leader has. */
  readonly missingSinceMs: number | null;
}

export const noLogicalMemory: LogicalMemory = {
  endedAtMs: null,
  leader: null,
  safeFrom: {},
  broken: [],
  copies: {},
  missingSinceMs: null,
};

/** Whether a transaction id is later than another; they go round after 2^32. */
export function isLaterXid(xid: string, than: string): boolean {
  return ((Number(xid) - Number(than)) | 0) > 0;
}
