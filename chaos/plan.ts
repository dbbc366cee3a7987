/**
 * Which faults come, drawn from a seed: pure. Whom a fault meets is said by role, because who has
 * that role shows only in the run.
 */
import { Rng } from '../test/sim/rng.ts';

/** What a kind is inflicted on. */
type Subject = 'member' | 'etcd' | 'cluster';

export type Need = 'netem' | 'loss' | 'cc';

interface KindPlan {
  readonly weight: number;
  readonly subject: Subject;
  /**
   * What a machine may not have: the kernel's netem, iptables with its statistic match, a C
   * compiler for the clocks.
   */
  readonly needs?: Need;
}

const TABLE = {
  'kill.agent': { weight: 3, subject: 'member' },
  'kill.postmaster': { weight: 3, subject: 'member' },
  'kill.guard': { weight: 1, subject: 'member' },
  'kill.node': { weight: 4, subject: 'member' },
  'freeze.agent': { weight: 2, subject: 'member' },
  'freeze.postgres': { weight: 2, subject: 'member' },
  'freeze.node': { weight: 3, subject: 'member' },
  'cut.off': { weight: 3, subject: 'member' },
  'cut.cable': { weight: 2, subject: 'member' },
  'cut.sends-nothing': { weight: 2, subject: 'member' },
  'cut.hears-nothing': { weight: 2, subject: 'member' },
  'cut.from-peers': { weight: 2, subject: 'member' },
  'cut.from-etcd': { weight: 2, subject: 'member' },
  'net.flicker': { weight: 2, subject: 'member' },
  'net.narrow': { weight: 1, subject: 'member' },
  'net.loss': { weight: 2, subject: 'member', needs: 'loss' },
  'net.jitter': { weight: 2, subject: 'member', needs: 'netem' },
  'etcd.member': { weight: 1, subject: 'etcd' },
  'etcd.frozen': { weight: 1, subject: 'etcd' },
  'etcd.cut': { weight: 1, subject: 'etcd' },
  'etcd.all': { weight: 2, subject: 'cluster' },
  'clock.step': { weight: 2, subject: 'member', needs: 'cc' },
  'disk.full': { weight: 2, subject: 'member' },
  'router.killed': { weight: 1, subject: 'cluster' },
  'router.cut': { weight: 1, subject: 'cluster' },
  switchover: { weight: 1, subject: 'cluster' },
  'small.loss': { weight: 1, subject: 'member', needs: 'loss' },
  'small.pause': { weight: 1, subject: 'member' },
  'small.load': { weight: 1, subject: 'cluster' },
} as const satisfies Record<string, KindPlan>;

export type Kind = keyof typeof TABLE;
export const KINDS = Object.keys(TABLE) as Kind[];
const PLANS: Readonly<Record<Kind, KindPlan>> = TABLE;

/** Of these alone nobody may lose the lead. */
export const SMALL_KINDS: readonly Kind[] = ['small.loss', 'small.pause', 'small.load', 'net.jitter', 'clock.step'];
/** So long an agent stands still in `small.pause`. */
export const PAUSE_MS = 2000;
const SMALL_HOLD_MS: readonly [number, number] = [4000, 15_000];

export const needOf = (kind: Kind): Need | null => PLANS[kind].needs ?? null;

/** `leader`: whoever leads when the fault comes, and of etcd's members, whoever leads there. */
export type Target = 'leader' | { readonly replica: number };

export interface Fault {
  readonly kind: Kind;
  /** null: it meets the whole cluster. */
  readonly target: Target | null;
  /** Uniform in [0, 1): for what an inflicted fault still has to choose, such as how many. */
  readonly chance: number;
}

export interface Episode {
  readonly number: number;
  readonly faults: readonly Fault[];
  /** Between the first fault and the second. */
  readonly apartMs: number;
  /** From the last fault to the healing. */
  readonly holdMs: number;
  /** What is waited for its late consequences, and the clients have for themselves. */
  readonly calmMs: number;
}

export interface PlanTerms {
  readonly seed: number;
  readonly ttlMs: number;
  readonly members: number;
  readonly kinds: readonly Kind[];
  /** One small fault at a time. */
  readonly small: boolean;
}

const TWO_AT_ONCE = 0.25;
const LEADER_IS_MET = 0.65;
/** A fault this short heals before anybody may have noticed it. */
const HOLD_LEAST_MS = 200;
const CALM_MS: readonly [number, number] = [300, 1500];

function drawFault(rng: Rng, { kinds, members }: PlanTerms): Fault {
  const kind = rng.pick(kinds.flatMap((one) => Array.from({ length: PLANS[one].weight }, () => one)));
  const isLeader = rng.chance(LEADER_IS_MET);
  const replica = rng.int(0, members - 2);
  const target = PLANS[kind].subject === 'cluster' ? null : isLeader ? 'leader' : { replica };
  return { kind, target, chance: rng.next() };
}

/** The same number gives the same episode, whatever came before. */
export function drawEpisode(terms: PlanTerms, number: number): Episode {
  const rng = new Rng(terms.seed).fork(`episode ${number}`);
  const first = drawFault(rng, terms);
  if (terms.small) {
    const holdMs = first.kind === 'small.pause' ? PAUSE_MS : Math.round(rng.between(...SMALL_HOLD_MS));
    return { number, faults: [first], apartMs: 0, holdMs, calmMs: Math.round(rng.between(...CALM_MS)) };
  }
  const faults = rng.chance(TWO_AT_ONCE) ? [first, drawFault(rng, terms)] : [first];
  return {
    number,
    faults,
    apartMs: Math.round(rng.chance(0.5) ? rng.between(0, 100) : rng.between(100, terms.ttlMs / 2)),
    // Short ones are as interesting as those that outlast the lease.
    holdMs: Math.round(rng.chance(0.4) ? rng.between(HOLD_LEAST_MS, terms.ttlMs / 2) : rng.between(terms.ttlMs / 2, terms.ttlMs * 1.8)),
    calmMs: Math.round(rng.between(...CALM_MS)),
  };
}

/** By which outages are grouped: `kill.node leader`, `etcd.all`. */
export function titleOf({ kind, target }: Fault): string {
  return target === null ? kind : `${kind} ${target === 'leader' ? 'leader' : 'replica'}`;
}

export function groupOf({ faults }: Episode): string {
  return faults.length === 1 ? titleOf(faults[0]!) : 'two at once';
}
