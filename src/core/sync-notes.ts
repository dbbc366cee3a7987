/**
 * What a leader's log says of the synchronous set. It tells which standbys commits wait for and
 * which members may succeed, when that has changed and is in force.
 */
import { plural } from '../support/plural.ts';
import { sameName } from './cluster.ts';
import type { Context } from './context.ts';
import type { Effect } from './effects.ts';
import { inGrace } from './sync.ts';
import { parseSyncNames, realNames, type SyncNames, sameNames } from './sync-names.ts';

export interface SyncNote {
  readonly level: 'info' | 'warning';
  readonly text: string;
}

/** What was noted last; null: this node did not lead, or not synchronously. */
export interface Noted {
  readonly names: string;
  readonly lack: 'alone' | 'blocked' | 'unobeyed' | null;
  /** Quorum and standbys of /sync; null: not settled yet. */
  readonly listed: string | null;
}

const SENTENCES = {
  changed: 'commits wait for {confirmers} now: synchronous_standby_names is {names}',
  whole: 'there is a synchronous standby again: commits wait for {confirmers}, synchronous_standby_names is {names}',
  alone: 'there is no synchronous standby: commits do not wait, and new ones are on this node only (synchronous_mode_strict is off)',
  blocked:
    'No active replication connections from Patroni members and synchronous_mode_strict is requested: commits wait until there is a synchronous standby',
  unobeyed:
    'commits may not wait for a standby: PostgreSQL has not been seen to obey synchronous_standby_names {names} for {seconds} s, because its checkpointer is busy; until then /sync counts on no further standby',
  elected: '/sync: the next leader needs {votes} of {standbys}',
  listed: '/sync: only {standbys} may lead next',
  nobody: '/sync: no standby is known to have every acknowledged commit, so none takes over by itself',
} as const;

function say(sentence: keyof typeof SENTENCES, words: Readonly<Record<string, string>> = {}): string {
  return SENTENCES[sentence].replace(/\{(\w+)\}/g, (_all, word: string) => words[word] ?? '');
}

/** `effects`: this round's, because the set is not judged while it changes. */
export function syncNotes(
  c: Context,
  effects: readonly Effect[],
  before: Noted | null,
): { readonly noted: Noted | null; readonly notes: readonly SyncNote[] } {
  const { sql } = c.o.pg;
  if (c.view === null || (sql === null && c.mayBeWritable)) return { noted: before, notes: [] };
  if (sql === null || !c.isPrimary || !c.lockMine || c.o.settings.dynamic.synchronousMode === 'off') return { noted: null, notes: [] };
  const writes = effects.some(({ kind }) => kind === 'write-sync');
  const names = sql.synchronousStandbyNames;
  const lack = lackOf(c, parseSyncNames(names));
  // One that sets what is in force only looks whether it is obeyed.
  const changes = effects.some((effect) => effect.kind === 'set-sync-names' && effect.value !== names);
  const moving = changes || (before === null && writes);
  if (moving || lack === 'unsettled') return { noted: before, notes: [] };
  const notes: SyncNote[] = [];
  const words = { confirmers: confirmersOf(c, parseSyncNames(names)), names: `'${names}'`, seconds: String(UNOBEYED_MS / 1000) };
  if (lack !== null && lack !== before?.lack) notes.push({ level: 'warning', text: say(lack, words) });
  else if (lack === null && before !== null && before.lack !== null) notes.push({ level: 'info', text: say('whole', words) });
  else if (lack === null && names !== before?.names) notes.push({ level: 'info', text: say('changed', words) });
  const succession = writes ? null : successionOf(c, parseSyncNames(names));
  if (succession !== null && succession !== before?.listed) notes.push({ level: 'info', text: succession });
  return { noted: { names, lack, listed: succession ?? before?.listed ?? null }, notes };
}

/** The checkpointer takes that up within milliseconds, unless it syncs files. */
const UNOBEYED_MS = 10_000;

/**
 * No standby to wait for: gone on alone, or blocked. Unobeyed: PostgreSQL may not wait for them.
 * Unsettled: that has just begun, or the leader has not yet let go of standbys that went, or they
 * have not had the time to connect.
 */
function lackOf(c: Context, inForce: SyncNames): Noted['lack'] | 'unsettled' {
  if (c.o.pg.sql?.obeysSyncNames === false) {
    const sinceMs = c.m.syncNamesSet?.atMs ?? c.o.nowMs;
    return c.o.nowMs - sinceMs >= UNOBEYED_MS ? 'unobeyed' : 'unsettled';
  }
  const real = realNames(inForce);
  const connected = (c.o.pg.sql?.replication ?? []).some(
    (sender) => sender.state === 'streaming' && real.some((name) => sameName(name, sender.applicationName)),
  );
  if (connected) return null;
  if (inGrace(c)) return 'unsettled';
  if (inForce.names.length === 0) return 'alone';
  return c.o.settings.dynamic.synchronousModeStrict ? 'blocked' : 'unsettled';
}

function confirmersOf(c: Context, inForce: SyncNames): string {
  const list = [...realNames(inForce)].sort();
  const wanted = c.o.settings.dynamic.synchronousNodeCount;
  const all = inForce.count >= list.length;
  const some = inForce.method === 'quorum' ? `any ${inForce.count} of ${list.join(', ')}` : `${inForce.count} of ${list.join(', ')}`;
  return `${all ? list.join(' and ') : some}${inForce.count < wanted ? ` (of ${wanted} that are wanted)` : ''}`;
}

/** Null while /sync is more careful than what is in force allows. */
function successionOf(c: Context, inForce: SyncNames): string | null {
  const sync = c.view?.sync ?? null;
  const real = realNames(inForce);
  if (sync?.leader == null || !sameName(sync.leader, c.me) || !sameNames(sync.standbys, real)) return null;
  if (real.length === 0) return say('nobody');
  const standbys = [...sync.standbys].sort().join(', ');
  if (inForce.method !== 'quorum') return say('listed', { standbys });
  return sync.quorum === real.length - inForce.count ? say('elected', { votes: plural(sync.quorum + 1, 'vote'), standbys }) : null;
}
