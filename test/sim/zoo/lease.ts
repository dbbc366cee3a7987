/** Broken bookkeeping of the lease, the guard and the leader key. */
import { at, rule } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const settings = 'src/core/settings.ts';
const lease = 'src/agent/lease.ts';
const cell = 'src/agent/authority-cell.ts';
const fence = 'src/agent/fence.ts';
const orders = 'src/core/guard-order.ts';
const promote = 'src/agent/jobs/promote.ts';
const handover = 'src/agent/jobs/handover.ts';
const leaderKey = 'src/adapters/etcd/leader-key.ts';

/**
 * The lease counted on another clock than the one that goes on while the machine sleeps and is
 * never set.
 */
const counted = (clock: 'wallMs' | 'monotonicMs') => [
  ...['#renewOnce', 'renew', 'keep'].map((method) => at(lease, `Lease.${method}.sentAtMs`).is(`this.#clock.${clock}()`)),
  at(cell, 'AuthorityCell.now').returns(
    `({ ...this.#now, lease: { ...this.#now.lease, confirmedSentAtMs: this.#now.lease.confirmedSentAtMs === null
      ? null : this.#now.lease.confirmedSentAtMs - this.#clock.${clock}() + this.#clock.bootMs() } })`,
  ),
  at(cell, 'AuthorityCell.patienceMs').replacing('this.#clock.bootMs()', `this.#clock.${clock}()`),
];

const guard = 'test/sim/guard.ts';
const guardOnStoppedClock = [
  at(guard, 'GuardProcess.arm').beginning('this.dueMs = this.#machine.monotonicMs() + deadlineMs - this.#machine.bootMs();'),
  at(guard, 'GuardProcess.#fire').after(
    'if (!this.alive || this.#frozen || order !== this.#order) return',
    'const leftMs = this.dueMs - this.#machine.monotonicMs();' +
      "if (!this.fired && leftMs > 1) return void this.#sim.after(leftMs, () => this.#gate().deliver('timer', () => this.#fire(order)));",
  ),
];

const admitsAll = at('src/adapters/etcd/gateway.ts', 'Gateway.#attempt').replacing('!this.guard.admit($$)', 'false');

export const leaseMutants: readonly Mutant[] = [
  {
    id: 'lease-without-margin',
    broken: 'The agent and its guard count on the lease to its last millisecond.',
    offends: ['S2', 'M7'],
    edits: [at(settings, 'leaseMargins.stepDownMs').is('ttlMs'), at(settings, 'leaseMargins.guardMs').is('ttlMs')],
    verdicts: ['safety'],
  },
  {
    id: 'lease-counted-from-reply',
    broken: 'A renewal counts from the moment its answer came instead of from when it was sent.',
    offends: ['S2', 'M7'],
    edits: [
      at(lease, 'Lease.#renewOnce').before(
        'return true',
        "this.#authority.note({ kind: 'lease-renewed', asked, leaseId, sentAtMs: this.#clock.bootMs() });",
      ),
    ],
    verdicts: ['safety'],
    focus: under(['freeze-agent', 'cut-etcd'], {}, { everyMs: 600, delayMs: [0.2, 60] }),
  },
  {
    id: 'lease-on-wall-clock',
    broken: 'The lease is counted on the wall clock, which somebody may set.',
    offends: ['S2', 'M8'],
    edits: counted('wallMs'),
    verdicts: ['safety'],
    focus: under(['set-clock', 'cut-etcd', 'stop-etcd']),
  },
  {
    id: 'lease-on-stopped-clock',
    broken: 'Agent and guard count the lease on a clock that stands still while the machine is suspended.',
    offends: ['S2', 'M8'],
    edits: [...counted('monotonicMs'), ...guardOnStoppedClock],
    verdicts: ['safety'],
    focus: under(['sleep', 'cut-etcd']),
  },
  {
    id: 'guard-after-lease',
    broken: 'The guard’s deadline lies after the end of the lease.',
    offends: ['S2', 'M7'],
    edits: [at(settings, 'leaseMargins.guardMs').is('ttlMs + marginMs')],
    verdicts: ['safety'],
  },
  {
    id: 'guard-not-armed',
    broken: 'A standby is promoted before the guard knows a deadline.',
    offends: ['S2', 'M7'],
    edits: [at(promote, 'promote').without('await ports.fence.arm()')],
    verdicts: ['safety'],
    focus: under(['kill-postgres', 'crash', 'stop-etcd', 'cut-etcd']),
  },
  {
    id: 'guard-never-armed',
    broken: 'The guard’s deadline is not moved on, nor set: the agent relies on itself.',
    offends: ['S2', 'M7'],
    edits: [at(fence, 'Fence.#give').replacing('await this.#ports.guard.arm($, $)', 'void this.#timeoutMs()')],
    verdicts: ['safety'],
  },
  {
    id: 'guard-not-moved-unread',
    broken: 'A renewal that is confirmed while etcd cannot be read does not move the guard’s deadline.',
    offends: ['S2', 'S19', 'S21'],
    edits: [at(orders, 'movesOn').replacing('onOwnLease || $', '(onOwnLease && c.attached) || isVouchedFor(c.authority, c.o.nowMs)')],
    verdicts: ['safety'],
    focus: under(['lose-replies'], { ttl: 3, loop_wait: 1, retry_timeout: 1 }),
  },
  {
    id: 'guard-rests-too-early',
    broken: 'In a handover the guard is told to rest before PostgreSQL is down.',
    offends: ['S2', 'M6', 'M7'],
    edits: [at(handover, 'stopInOrder').after('ports.stopping()', 'await ports.fence.disarm();')],
    verdicts: ['safety'],
    focus: under(['switchover', 'sigterm']),
  },
  {
    id: 'no-step-down',
    broken: 'A primary goes on when etcd cannot be reached and its lease has run out.',
    offends: ['S2'],
    edits: [rule('fence.lease-ended').dropped()],
    verdicts: ['safety', 'crash', 'liveness'],
    focus: under(['cut-etcd', 'stop-etcd']),
  },
  {
    id: 'other-leader-ignored',
    broken: 'A primary goes on although another member holds the leader key.',
    offends: ['S2', 'S3'],
    edits: [rule('fence.other-leader').dropped()],
    verdicts: ['safety', 'crash', 'liveness'],
    focus: under(['pause', 'cut-etcd', 'failover'], { ttl: 3, loop_wait: 1, retry_timeout: 1 }),
  },
  {
    id: 'key-released-while-open',
    broken: 'A handover gives the leader key back before PostgreSQL is down.',
    offends: ['S2', 'M6', 'M16'],
    edits: [
      at(handover, 'stopInOrder').after(
        'ports.stopping()',
        'if (isPrimary) await ports.lease.release(ports.settings.local().name, dcsTimeout(ports));',
      ),
    ],
    verdicts: ['safety'],
  },
  {
    id: 'key-deleted-by-anybody',
    broken: 'The leader key is deleted without comparing who holds it.',
    offends: ['S2', 'S3'],
    edits: [at(leaderKey, 'releaseLeader').replacing('[keys.valueIs(LEADER, name), $]', '[]')],
    verdicts: ['safety'],
    focus: under(['slow-requests', 'switchover'], {}, { nodes: ['a', 'b'], everyMs: 1000 }),
  },
  {
    id: 'key-taken-over',
    broken: 'The leader key is put, not created: whoever comes last has it.',
    offends: ['S2', 'S3', 'M26'],
    edits: [at(leaderKey, 'acquireLeader').returns('keys.overwrite(LEADER, name, leaseId, options).then(() => true)')],
    verdicts: ['safety'],
  },
  {
    id: 'lost-release-forgiven',
    broken:
      'A release of the leader key whose answer is lost leaves the lease as it was, so that a late copy may delete the key taken since.',
    offends: ['S2', 'S3', 'M19'],
    edits: [at(lease, 'Lease.release').without('this.forget()')],
    verdicts: ['safety'],
    focus: under(['slow-requests', 'switchover', 'lose-replies'], { ttl: 3, retry_timeout: 1 }, { nodes: ['a', 'b'], everyMs: 500 }),
  },
  {
    id: 'late-writes-valid',
    broken: 'A copy of a write that arrives after its sender gave up is as good as any.',
    offends: ['S2', 'S3', 'M19'],
    edits: [at('src/adapters/etcd/txn.ts', 'unchangedSince').replacing('revision + 1n', 'revision + 1_000_000_000n')],
    verdicts: ['safety'],
    focus: under(['slow-requests', 'switchover'], {}, { nodes: ['a', 'b'], everyMs: 1000 }),
  },
  {
    id: 'stale-etcd-believed',
    broken: 'A member of etcd that is cut off from the others answers what it knew last, and is believed.',
    offends: ['S1', 'S2', 'S3', 'S8', 'S9', 'M19'],
    edits: [
      at('test/sim/etcd/gateway.ts', 'answerOf').before(
        'if (etcd.serves(member)) $',
        `if (path === '/kv/range' && !etcd.serves(member)) {
          const kvs = [...etcd.standing(member).keys.values()].map((stored) => stored.wire);
          return answer(etcd, member, ',"kvs":[' + kvs.join(',') + ']');
        }`,
      ),
      admitsAll,
    ],
    verdicts: ['safety', 'liveness', 'crash'],
    focus: under(['etcd-member', 'crash', 'kill-postgres', 'switchover'], { synchronous_mode: 'on' }),
  },
  {
    id: 'useless-lease-renewed',
    broken: 'A lease that ended by the own clock is renewed on and on: the key stays with a node that does not lead.',
    offends: ['S19'],
    // The client sends nothing either to an etcd that has not said for a while whose it is.
    edits: [
      at(orders, 'mustForgetLease').without('if (!c.mayBeWritable && isOver(a, nowMs)) return true'),
      at('src/adapters/etcd/gateway.ts', 'Gateway.#prove').beginning('return null;'),
    ],
    verdicts: ['liveness'],
    focus: under([], {}, { nodes: ['a', 'b', 'c'], leftBroken: ['a', 'b'], leftHow: 'deaf' }),
  },
];
