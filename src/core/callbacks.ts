/**
 * What the user's callback scripts are told, and with which role: the dialect's rules as data. The
 * rows are what a round tells by its facts. `on_stop` is told by the job or the step that has
 * stopped PostgreSQL, and `on_reload` by the one that has reloaded it (docs/dialect.md,
 * "Callbacks").
 */
import type { Chore } from './chores.ts';
import type { MemberRole } from './cluster.ts';
import type { Context } from './context.ts';
import type { CallbackAction, Job } from './effects.ts';
import type { Memory } from './model.ts';

/** A role that lasts, and that a script can do something about. */
type ToldRole = 'primary' | 'replica' | 'standby_leader' | 'demoted';

export interface CallbackFacts {
  /** Of the server that runs; null: none does, or its role does not last. */
  readonly role: Exclude<ToldRole, 'demoted'> | null;
  /** That the last callback of this agent was told; null: it has told nothing yet. */
  readonly told: string | null;
  /** PostgreSQL was restarted at an operator's request since the last callback. */
  readonly restarted: boolean;
  /** PostgreSQL was started since the last callback. */
  readonly started: boolean;
  /** PostgreSQL is down, this node has given up the lead, and no on_stop said so. */
  readonly gaveUp: boolean;
}

interface CallbackRow {
  readonly situation: string;
  readonly when: (facts: CallbackFacts) => boolean;
  /** null: none is run. */
  readonly action: CallbackAction | null;
  /** Absent: that of the running server. */
  readonly role?: 'demoted';
}

const leads = (role: string | null) => role === 'primary' || role === 'standby_leader';

/** The first that applies. */
export const callbackRows: readonly CallbackRow[] = [
  {
    situation: 'a former leader is down, and gives up the lead',
    when: ({ gaveUp, told }) => gaveUp && leads(told),
    action: 'on_role_change',
    role: 'demoted',
  },
  { situation: 'no server runs, or its role does not last', when: ({ role }) => role === null, action: null },
  { situation: 'this agent has told nothing yet', when: ({ told }) => told === null, action: 'on_start' },
  { situation: 'the role is another', when: ({ role, told }) => told !== role, action: 'on_role_change' },
  { situation: 'restarted at an operator’s request', when: ({ restarted }) => restarted, action: 'on_restart' },
  { situation: 'started, whatever had ended it', when: ({ started }) => started, action: 'on_start' },
];

/** What is to be told now; null: everything was. */
export function callbackFor(facts: CallbackFacts): { readonly action: CallbackAction; readonly role: ToldRole } | null {
  const row = callbackRows.find(({ when }) => when(facts));
  const role = row?.role ?? facts.role;
  return row === undefined || row.action === null || role === null ? null : { action: row.action, role };
}

/**
 * What the callbacks have not been told yet. A change that is over before it could be told is not
 * told any more: the last word counts. `releasing`: the round gives up the lead.
 */
export function untold(c: Context, releasing = false): readonly Chore[] {
  const { m, o } = c;
  const startedAt = o.pg.sql?.postmasterStartTime ?? null;
  const started = m.announcedStart !== null && startedAt !== null && m.announcedStart !== startedAt;
  const callback = callbackFor({
    role: c.isPrimary || c.isStandby ? lasting(m.role) : null,
    told: m.announcedRole,
    restarted: m.restartUnannounced,
    started,
    gaveUp: c.stopped && !c.paused && !m.announcedStop && (releasing || m.role === 'demoted'),
  });
  return callback === null ? [] : [{ kind: 'callback', effects: [{ kind: 'run-callback', ...callback, startedAt }] }];
}

/** A server that is down has no other chores: so this one stands by itself. */
export function untoldWhileDown(c: Context): readonly Chore[] {
  return c.stopped && c.view !== null && c.o.job === null && !c.o.requests.shutdown ? untold(c) : [];
}

function lasting(role: MemberRole): CallbackFacts['role'] {
  return role === 'primary' || role === 'replica' || role === 'standby_leader' ? role : null;
}

/**
 * The role that on_stop is told: that of the server which this agent stops. A primary that hands
 * over has given up the lead before it is down. `job`: what stops it; null: the round itself.
 */
export function roleAtStop({ role }: Pick<Memory, 'role'>, job: Job | null): MemberRole {
  const handsOver = job?.kind === 'demote-cluster' || (job?.kind === 'handover' && job.action !== 'shutdown');
  if (role === 'replica' || role === 'uninitialized') return role;
  return handsOver ? 'demoted' : role === 'promoted' ? 'primary' : role;
}
