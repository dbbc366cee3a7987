import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClusterView, FailoverKey, Member } from '../core/cluster.ts';
import { type HaproxyServer, NEW_ROUTER, type RouterInput, type RouterMemory, routerCommands } from './decide.ts';

function member(name: string, role: Member['role'], state: Member['state'] = 'running'): Member {
  return {
    name,
    role,
    state,
    leaseId: '1',
    connUrl: null,
    apiUrl: null,
    version: null,
    tags: {},
    lsn: null,
    receiveLsn: null,
    replayLsn: null,
    replicationState: null,
    timeline: null,
    pendingRestart: false,
    pendingRestartReason: null,
    scheduledRestart: null,
    checkpointAfterPromote: true,
    pause: false,
    raw: {},
  };
}

function view(leader: string | null, members: Member[], options: { revision?: string; failover?: FailoverKey } = {}): ClusterView {
  return {
    revision: '9',
    initialize: '1',
    config: null,
    leader: leader === null ? null : { name: leader, leaseId: '1', modRevision: options.revision ?? '5' },
    members,
    failover: options.failover ?? null,
    sync: null,
    history: [],
    status: null,
  };
}

const server = (name: string, up: boolean, more: Partial<HaproxyServer> = {}): HaproxyServer => ({
  name,
  up,
  ours: true,
  sessions: 0,
  ...more,
});
const limits = { holdMs: 5000, assertMs: 10_000 };
const aLeads = view('a', [member('a', 'primary'), member('b', 'replica')]);
const bLeads = view('b', [member('a', 'replica'), member('b', 'primary')], { revision: '7' });
const nobody = view(null, [member('a', 'replica'), member('b', 'replica')]);
const aServed: RouterMemory = { routed: 'a@5', serving: true, routedAtMs: 0, hold: null, spent: [] };
const aHeld: RouterMemory = { ...aServed, serving: false, hold: { sinceMs: 100_000, limit: 400, cause: 'after a@5' } };

function decide(more: Partial<RouterInput> & { servers?: HaproxyServer[]; frontendLimit?: number | null }) {
  const { servers = [server('a', true), server('b', false)], frontendLimit = 400, ...input } = more;
  return routerCommands({
    view: aLeads,
    haproxy: { servers, frontendLimit },
    memory: aServed,
    limits,
    monotonicMs: 100_000,
    wallMs: 1_000_000,
    ...input,
  });
}

describe('with a primary', () => {
  it('says nothing while HAProxy agrees', () => {
    expect(decide({})).toEqual({ commands: [], memory: aServed, because: null });
  });

  it('raises the new one first, then puts the old one down and cuts its sessions, and lets waiting clients go last', () => {
    const servers = [server('a', true, { sessions: 3 }), server('b', false)];
    const { commands, memory } = decide({ view: bLeads, servers, memory: aHeld, frontendLimit: 0 });
    expect(commands).toEqual([
      { kind: 'up', server: 'b' },
      { kind: 'down', server: 'a' },
      { kind: 'cut', server: 'a' },
      { kind: 'release', limit: 400 },
    ]);
    expect(memory).toEqual({ routed: 'b@7', serving: true, routedAtMs: 100_000, hold: null, spent: [] });
  });

  it('waits until its promotion is finished by its own record', () => {
    for (const record of [member('b', 'replica'), member('b', 'promoted'), member('b', 'primary', 'starting')]) {
      const { commands } = decide({ view: view('b', [record], { revision: '7' }), memory: aHeld, frontendLimit: 0 });
      expect(commands).toEqual([]);
    }
  });

  it('leaves the checks the last word on the primary once it has been in office for a while', () => {
    const servers = [server('a', false), server('b', false)];
    expect(decide({ servers }).commands).toEqual([]);
    expect(decide({ servers, monotonicMs: 9000 }).commands).toEqual([{ kind: 'up', server: 'a' }]);
  });

  it('puts down whoever else looks up, at any time', () => {
    expect(decide({ servers: [server('a', true), server('b', true)] }).commands).toEqual([{ kind: 'down', server: 'b' }]);
  });

  it('leaves what an operator has in maintenance alone', () => {
    const servers = [server('a', true, { ours: false, sessions: 2 }), server('b', false, { ours: false })];
    expect(decide({ view: bLeads, servers }).commands).toEqual([]);
  });

  it('puts nobody down for a primary HAProxy does not know', () => {
    const { commands, because } = decide({ view: bLeads, servers: [server('a', true)] });
    expect(commands).toEqual([]);
    expect(because).toContain('no server named b');
  });

  it('lifts what a router that died while holding has left', () => {
    expect(decide({ memory: NEW_ROUTER, frontendLimit: 0 }).commands).toEqual([{ kind: 'release', limit: null }]);
  });

  it('routes to it anew when it serves again after an interruption', () => {
    const { commands } = decide({ servers: [server('a', false), server('b', false)], memory: aHeld, frontendLimit: 0 });
    expect(commands).toEqual([
      { kind: 'up', server: 'a' },
      { kind: 'release', limit: 400 },
    ]);
  });
});

describe('between two primaries', () => {
  it('makes clients wait, and leaves the servers as they are', () => {
    const { commands, memory } = decide({ view: nobody });
    expect(commands).toEqual([{ kind: 'hold', limit: 400 }]);
    expect(memory.hold).toEqual({ sinceMs: 100_000, limit: 400, cause: 'after a@5' });
  });

  it('makes them wait when the leader says itself that it is no longer a running primary', () => {
    for (const record of [member('a', 'replica'), member('a', 'demoted'), member('a', 'primary', 'stopping')]) {
      expect(decide({ view: view('a', [record]) }).commands).toEqual([{ kind: 'hold', limit: 400 }]);
    }
  });

  it('does so only for a while, once, even when etcd is out of reach meanwhile', () => {
    for (const later of [nobody, null]) {
      const expired = decide({ view: later, memory: aHeld, frontendLimit: 0, monotonicMs: 105_000 });
      expect(expired.commands).toEqual([{ kind: 'release', limit: 400 }]);
      expect(decide({ view: nobody, memory: expired.memory, monotonicMs: 105_500 }).commands).toEqual([]);
    }
  });

  it('may do so again after the next primary', () => {
    const spent: RouterMemory = { ...aHeld, hold: null, spent: ['after a@5'] };
    const routed = decide({ view: bLeads, memory: spent }).memory;
    expect(decide({ view: nobody, memory: routed }).commands).toEqual([{ kind: 'hold', limit: 400 }]);
  });

  it('holds nobody when told not to, when there is no frontend, or when it has never seen a primary', () => {
    expect(decide({ view: nobody, limits: { ...limits, holdMs: 0 } }).commands).toEqual([]);
    expect(decide({ view: nobody, frontendLimit: null }).commands).toEqual([]);
    expect(decide({ view: nobody, memory: NEW_ROUTER }).commands).toEqual([]);
  });

  it('changes nothing when etcd cannot be read', () => {
    expect(decide({ view: null, servers: [server('a', true), server('b', true)] })).toEqual({
      commands: [],
      memory: aServed,
      because: null,
    });
  });
});

describe('before a switchover', () => {
  const wish = (more: Partial<FailoverKey>): ClusterView =>
    view('a', aLeads.members as Member[], {
      failover: { leader: 'a', candidate: 'b', scheduledAtMs: null, scheduledAt: null, modRevision: '6', ...more },
    });

  it('makes clients wait as soon as it is due, and keeps to one hold through the whole of it', () => {
    const begun = decide({ view: wish({}) });
    expect(begun.commands).toEqual([{ kind: 'hold', limit: 400 }]);
    const during = decide({ view: nobody, memory: begun.memory, frontendLimit: 0, monotonicMs: 101_000 });
    expect(during.commands).toEqual([]);
    expect(decide({ view: bLeads, memory: during.memory, frontendLimit: 0, monotonicMs: 101_100 }).commands.at(-1)).toEqual({
      kind: 'release',
      limit: 400,
    });
  });

  it('does not when it is scheduled for later, or is about another leader', () => {
    expect(decide({ view: wish({ scheduledAtMs: 1_000_001 }) }).commands).toEqual([]);
    expect(decide({ view: wish({ leader: 'b' }) }).commands).toEqual([]);
    expect(decide({ view: wish({ leader: null }) }).commands).toEqual([]);
  });

  it('lets them go when it was called off, and does not hold for it twice', () => {
    const begun = decide({ view: wish({}) });
    expect(decide({ memory: begun.memory, frontendLimit: 0, monotonicMs: 100_500 }).commands).toEqual([{ kind: 'release', limit: 400 }]);
    const expired = decide({ view: wish({}), memory: begun.memory, frontendLimit: 0, monotonicMs: 105_001 });
    expect(expired.commands).toEqual([{ kind: 'release', limit: 400 }]);
    expect(decide({ view: wish({}), memory: expired.memory, monotonicMs: 106_000 }).commands).toEqual([]);
  });
});

it('never leaves two servers up, never holds longer than allowed, and always ends with a frontend that accepts', () => {
  const roles = fc.constantFrom<Member['role']>('primary', 'replica', null);
  const states = fc.constantFrom<Member['state']>('running', 'stopping');
  const step = fc.record({
    leader: fc.constantFrom('a', 'b', null),
    a: fc.tuple(roles, states),
    b: fc.tuple(roles, states),
    blind: fc.boolean(),
    flips: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
    passMs: fc.integer({ min: 1, max: 4000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const up: Record<string, boolean> = { a: true, b: true };
      let limit = 400;
      let heldSince: number | null = null;
      let memory = NEW_ROUTER;
      let now = 0;
      const look = (seen: ClusterView | null) => {
        const haproxy = { servers: [server('a', up['a']!), server('b', up['b']!)], frontendLimit: limit };
        const decision = routerCommands({ view: seen, haproxy, memory, limits, monotonicMs: now, wallMs: now });
        memory = decision.memory;
        for (const command of decision.commands) {
          if (command.kind === 'up' || command.kind === 'down') up[command.server] = command.kind === 'up';
          if (command.kind === 'hold') [limit, heldSince] = [0, now];
          if (command.kind === 'release') [limit, heldSince] = [command.limit ?? 400, null];
        }
      };
      for (const [index, { leader, a, b, blind, flips, passMs }] of steps.entries()) {
        for (const name of flips) up[name] = !up[name];
        const seen = view(leader, [member('a', ...a), member('b', ...b)], { revision: String(index) });
        look(blind ? null : seen);
        const serving = leader !== null && (leader === 'a' ? a : b).join() === 'primary,running';
        if (!blind && serving) expect([up['a'], up['b']]).toEqual([leader === 'a', leader === 'b']);
        now += passMs;
        // The loop looks again when a hold is about to end.
        if (heldSince !== null && now >= heldSince + limits.holdMs) {
          now = heldSince + limits.holdMs;
          look(blind ? null : seen);
          expect(heldSince).toBeNull();
        }
      }
      now += limits.holdMs;
      look(null);
      expect(limit).toBe(400);
    }),
  );
});
