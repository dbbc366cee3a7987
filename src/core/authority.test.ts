/** Over random orders of events: what the authority promises, whatever is lost, late or changed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Authority,
  type AuthorityEvent,
  authorityAfter,
  byLease,
  byOwnLease,
  endsSooner,
  isGuardHealthy,
  leads,
  mayWriteUntilMs,
  noAuthority,
  stepDownAtMs,
  stopByMs,
  strikesAtMs,
} from './authority.ts';
import { guardPatienceMs, patienceMs } from './patience.ts';

/** What an agent and its etcd do, in the words of a step; the moments come from the play. */
type Step =
  | { readonly do: 'ask' }
  | { readonly do: 'renewed' | 'granted'; readonly request: number; readonly ttlSeconds: number }
  | { readonly do: 'forget' | 'arm' | 'arm-lost' | 'rest' | 'bring-forward' | 'move' }
  | { readonly do: 'read'; readonly keyOn: 'own' | 'before' | 'other' | 'none' };

const ttl = fc.constantFrom(3, 5, 10, 30);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>({ do: 'ask' }),
  fc.record({ do: fc.constant('granted' as const), request: fc.nat(3), ttlSeconds: ttl }),
  fc.record({ do: fc.constant('renewed' as const), request: fc.nat(3), ttlSeconds: ttl }),
  fc.record({
    do: fc.constant('read' as const),
    keyOn: fc.constantFrom('own' as const, 'own' as const, 'before' as const, 'other' as const, 'none' as const),
  }),
  fc.record({
    do: fc.constantFrom('forget' as const, 'arm' as const, 'arm-lost' as const, 'rest' as const, 'bring-forward' as const, 'move' as const),
  }),
);
const script = fc.array(fc.tuple(fc.nat(3000), step), { maxLength: 40 });

/** One request to etcd; `lease`: the one that it was to renew. */
interface Request {
  readonly asked: number;
  readonly sentAtMs: number;
  readonly lease: string | null;
  answered: boolean;
}

/** Plays a script; `look` sees every state. What etcd has confirmed is kept for the properties. */
function play(steps: readonly (readonly [number, Step])[], look: (world: World) => void): void {
  const world = new World();
  for (const [afterMs, one] of steps) {
    world.nowMs += afterMs;
    world.take(one);
    look(world);
  }
}

class World {
  nowMs = 10_000;
  before: Authority = noAuthority(30);
  a: Authority = noAuthority(30);
  event: AuthorityEvent['kind'] | null = null;
  /** The latest end that etcd owes us, by lease: from the sending that it confirmed. */
  readonly endsAtMs = new Map<string, number>();
  readonly #requests: Request[] = [];
  #granted = 0;

  #note(event: AuthorityEvent): void {
    this.before = this.a;
    this.a = authorityAfter(this.a, event);
    this.event = event.kind;
  }

  take(one: Step): void {
    switch (one.do) {
      case 'ask':
        this.#note({ kind: 'lease-asked' });
        this.#requests.push({ asked: this.a.asked, sentAtMs: this.nowMs, lease: this.a.lease.leaseId, answered: false });
        break;
      case 'granted':
      case 'renewed':
        this.#answer(one);
        break;
      case 'forget':
        this.#note({ kind: 'lease-forgotten' });
        break;
      case 'read':
        this.#note({
          kind: 'key-read',
          keyOn: { own: this.a.lease.leaseId, before: this.a.key?.leaseId ?? null, other: 'another’s', none: null }[one.keyOn],
        });
        break;
      case 'move':
        this.#note({ kind: 'key-moving' });
        break;
      case 'rest':
        this.#note({ kind: 'guard-rested' });
        break;
      default:
        this.#arm(one.do);
    }
  }

  /** The answer to one of the last requests, the last one or an older. */
  #answer({ do: what, request, ttlSeconds }: Extract<Step, { do: 'granted' | 'renewed' }>): void {
    const asked = this.#requests.at(-1 - request);
    if (asked === undefined || asked.answered) return;
    asked.answered = true;
    const renews = what === 'renewed' && asked.lease !== null;
    const leaseId = renews ? asked.lease : `lease ${++this.#granted}`;
    const seconds = renews ? this.#ttlOf(leaseId) : ttlSeconds;
    const endMs = asked.sentAtMs + seconds * 1000;
    this.endsAtMs.set(leaseId, Math.max(this.endsAtMs.get(leaseId) ?? 0, endMs));
    this.ttls.set(leaseId, seconds);
    const told = { asked: asked.asked, leaseId, sentAtMs: asked.sentAtMs };
    this.#note(renews ? { kind: 'lease-renewed', ...told } : { kind: 'lease-granted', ...told, ttlSeconds: seconds });
  }

  readonly ttls = new Map<string, number>();
  #ttlOf = (leaseId: string): number => this.ttls.get(leaseId) ?? 30;

  #arm(what: 'arm' | 'arm-lost' | 'bring-forward'): void {
    if (what === 'bring-forward' && !endsSooner(this.a)) return;
    if (this.a.lease.confirmedSentAtMs === null) return;
    const order = byLease(this.a.lease.confirmedSentAtMs, this.a.lease.ttlSeconds, 'lease');
    this.#note({ kind: 'guard-ordered' });
    if (what === 'arm-lost') this.#note({ kind: 'guard-failed', atMs: this.nowMs, leads: true });
    else this.#note({ kind: 'guard-armed', order });
  }
}

describe('over every order of events', () => {
  const always = (look: (world: World) => void) =>
    fc.assert(
      fc.property(script, (steps) => play(steps, look)),
      { numRuns: 2000 },
    );

  it('this agent steps down before the guard strikes, and the guard before the lease ends', () => {
    always(({ a, endsAtMs }) => {
      const { leaseId, confirmedSentAtMs, ttlSeconds } = a.lease;
      if (leaseId === null || confirmedSentAtMs === null) return;
      const { deadlineMs, reliedUntilMs } = byLease(confirmedSentAtMs, ttlSeconds, 'lease');
      const isElsewhere = a.key !== null && a.key.leaseId !== leaseId;
      if (isElsewhere) expect(stepDownAtMs(a) ?? 0).toBeLessThan(endsAtMs.get(a.key?.leaseId ?? '') ?? 1);
      else expect(stepDownAtMs(a)).toBe(reliedUntilMs);
      expect(reliedUntilMs).toBeLessThan(deadlineMs);
      expect(deadlineMs).toBeLessThan(endsAtMs.get(leaseId)!);
    });
  });

  it('nobody writes past the end that the last confirmed sending allows, on the lease that the key was seen on', () => {
    always(({ a, endsAtMs }) => {
      if (mayWriteUntilMs(a) === Number.NEGATIVE_INFINITY) return;
      expect(mayWriteUntilMs(a)).toBeLessThan(endsAtMs.get(a.key!.leaseId)!);
    });
  });

  it('while the key may be on either lease, nobody writes past the end of either', () => {
    always(({ a, endsAtMs, event }) => {
      if (event !== 'key-moving' || a.lease.leaseId === null || mayWriteUntilMs(a) === Number.NEGATIVE_INFINITY) return;
      expect(mayWriteUntilMs(a)).toBeLessThan(endsAtMs.get(a.lease.leaseId)!);
    });
  });

  it('only a confirmed sending, and a reading of the key, make the end later', () => {
    always(({ a, before, event }) => {
      if (mayWriteUntilMs(a) > mayWriteUntilMs(before)) expect(['lease-renewed', 'lease-granted', 'key-read']).toContain(event);
    });
  });

  it('an order that was lost changes neither the deadline nor until when it is relied on', () => {
    always(({ a, before, event }) => {
      if (event !== 'guard-failed' && event !== 'guard-ordered') return;
      const { deadlineMs, reliedUntilMs } = before.guard;
      expect(a.guard).toMatchObject({ state: 'unknown', deadlineMs, reliedUntilMs });
    });
  });

  it('a guard that does not answer shortens every wait, and no wait goes past the moment to step down', () => {
    always(({ a, nowMs }) => {
      const stepDown = stepDownAtMs(a) ?? Number.POSITIVE_INFINITY;
      const patience = patienceMs(a, nowMs, 60_000);
      expect(patience).toBeLessThanOrEqual(Math.max(200, Math.min(60_000, stepDown - nowMs + 1)));
      expect(patience).toBeLessThanOrEqual(Math.max(200, guardPatienceMs(a, nowMs)));
      expect(stopByMs(a, nowMs)).toBeLessThanOrEqual(strikesAtMs(a, nowMs));
    });
  });

  it('the answer is pure: the same events give the same authority', () => {
    fc.assert(
      fc.property(script, (steps) => {
        const ends: Authority[] = [];
        for (const _ of [1, 2]) {
          const world = new World();
          for (const [afterMs, one] of steps) {
            world.nowMs += afterMs;
            world.take(one);
          }
          ends.push(world.a);
        }
        expect(ends[0]).toEqual(ends[1]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a change of the ttl', () => {
  const leasedAt = (a: Authority, leaseId: string, ttlSeconds: number, sentAtMs: number): Authority => {
    const asked = authorityAfter(a, { kind: 'lease-asked' });
    return authorityAfter(asked, { kind: 'lease-granted', asked: asked.asked, leaseId, ttlSeconds, sentAtMs });
  };

  it('to a shorter one never lengthens a deadline, wherever the key and the guard stand', () => {
    fc.assert(
      fc.property(fc.constantFrom(10, 30), fc.constantFrom(3, 5), fc.nat(20_000), (longer, shorter, laterMs) => {
        const led = authorityAfter(leasedAt(noAuthority(longer), 'before', longer, 10_000), { kind: 'key-read', keyOn: 'before' });
        const armed = authorityAfter(led, { kind: 'guard-armed', order: byOwnLease(led, 10_000) });
        const changed = leasedAt(armed, 'new', shorter, 10_000 + laterMs);
        expect(mayWriteUntilMs(changed)).toBe(mayWriteUntilMs(armed));
        if (endsSooner(changed)) expect(byOwnLease(changed, 10_000 + laterMs, true).deadlineMs).toBeLessThan(armed.guard.deadlineMs!);
        else expect(byOwnLease(changed, 10_000 + laterMs, true).deadlineMs).toBeGreaterThanOrEqual(armed.guard.deadlineMs!);
      }),
    );
  });

  const led = authorityAfter(leasedAt(noAuthority(30), 'before', 30, 10_000), { kind: 'key-read', keyOn: 'before' });

  it('leaves the lead on the lease before until the key is moved, whether etcd can be read or not', () => {
    const changed = leasedAt(led, 'new', 10, 11_000);
    expect(mayWriteUntilMs(changed)).toBe(34_000);
    expect(mayWriteUntilMs(authorityAfter(changed, { kind: 'key-read', keyOn: 'before' }))).toBe(34_000);
    expect(mayWriteUntilMs(authorityAfter(changed, { kind: 'key-read', keyOn: 'new' }))).toBe(19_000);
    expect(mayWriteUntilMs(authorityAfter(changed, { kind: 'key-read', keyOn: null }))).toBe(Number.NEGATIVE_INFINITY);
  });

  it('lets the earlier of the two ends count once the key may have moved, which an answer that is lost does not tell', () => {
    const moving = (ttlSeconds: number) => authorityAfter(leasedAt(led, 'new', ttlSeconds, 11_000), { kind: 'key-moving' });
    expect(mayWriteUntilMs(moving(10))).toBe(19_000);
    expect(mayWriteUntilMs(moving(300))).toBe(34_000);
    expect(mayWriteUntilMs(authorityAfter(moving(10), { kind: 'key-read', keyOn: 'before' }))).toBe(19_000);
  });

  it('leaves nothing of a lease that was gone or given up, whichever took its place', () => {
    const forgotten = authorityAfter(led, { kind: 'lease-forgotten' });
    expect(leads(forgotten, 12_000)).toBe(false);
    for (const ttlSeconds of [30, 10]) expect(leads(leasedAt(forgotten, 'new', ttlSeconds, 11_000), 12_000)).toBe(false);
  });
});

describe('a guard that does not answer', () => {
  const failed = (a: Authority, times: number): Authority =>
    times === 0 ? a : failed(authorityAfter(a, { kind: 'guard-failed', atMs: 10_000, leads: true }), times - 1);

  it('is lost after three tries where it was never heard, and otherwise when the time it was given is over', () => {
    expect([1, 2, 3].map((times) => isGuardHealthy(failed(noAuthority(30), times), 10_000))).toEqual([true, true, false]);
    const armed = authorityAfter(noAuthority(30), { kind: 'guard-armed', order: byLease(10_000, 30, 'lease') });
    expect([33_999, 34_000].map((nowMs) => isGuardHealthy(failed(armed, 9), nowMs))).toEqual([true, false]);
  });

  it('is asked again in time for the step down', () => {
    const armed = (sentAtMs: number) => authorityAfter(noAuthority(30), { kind: 'guard-armed', order: byLease(sentAtMs, 30, 'lease') });
    expect(failed(noAuthority(30), 1).guard.retryAtMs).toBe(11_000);
    expect(failed(armed(10_000 - 23_500), 1).guard.retryAtMs).toBe(10_500);
    expect(failed(armed(10_000 - 25_000), 1).guard.retryAtMs).toBe(11_000);
  });
});

it('no lease, and one that is about to end, arm nothing', () => {
  expect(() => byOwnLease(noAuthority(30), 0)).toThrow('no confirmed lease');
  const a = { ...noAuthority(30), lease: { leaseId: 'x', confirmedSentAtMs: 10_000, ttlSeconds: 30 } };
  expect(byOwnLease(a, 36_999)).toEqual({ deadlineMs: 37_000, reliedUntilMs: 34_000, basis: 'lease' });
  expect(() => byOwnLease(a, 37_000)).toThrow('about to end');
});
