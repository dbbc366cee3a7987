import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClusterView, Member } from '../core/cluster.ts';
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

function view(leader: string | null, members: Member[], revision = '5'): ClusterView {
  return {
    revision: '9',
    initialize: '1',
    config: null,
    leader: leader === null ? null : { name: leader, leaseId: '1', modRevision: revision },
    members,
    failover: null,
    sync: null,
    history: [],
    status: null,
    failsafe: null,
  };
}

const server = (name: string, up: boolean, more: Partial<HaproxyServer> = {}): HaproxyServer => ({
  name,
  up,
  ours: true,
  sessions: 0,
  silent: false,
  address: null,
  ...more,
});
const aLeads = view('a', [member('a', 'primary'), member('b', 'replica')]);
const bLeads = view('b', [member('a', 'replica'), member('b', 'primary')], '7');
const nobody = view(null, [member('a', 'replica'), member('b', 'replica')]);
const aServed: RouterMemory = { routed: 'a@5', serving: true, routedAtMs: 0 };
const aLost: RouterMemory = { ...aServed, serving: false };

type Scene = Partial<Omit<RouterInput, 'haproxy'>> & { readonly haproxy?: readonly HaproxyServer[]; readonly hasWaitingRoom?: boolean };

function decide({ haproxy = [server('a', true), server('b', false)], hasWaitingRoom = false, ...more }: Scene) {
  const state = { servers: haproxy, hasWaitingRoom };
  return routerCommands({ view: aLeads, haproxy: state, memory: aServed, assertMs: 10_000, monotonicMs: 100_000, ...more });
}

describe('with a primary', () => {
  it('says nothing while HAProxy agrees', () => {
    expect(decide({})).toEqual({ commands: [], memory: aServed, because: null });
  });

  it('raises the new one first, then puts the old one down and cuts its sessions', () => {
    const haproxy = [server('a', true, { sessions: 3 }), server('b', false)];
    expect(decide({ view: bLeads, haproxy, memory: aLost })).toEqual({
      commands: [
        { kind: 'up', server: 'b' },
        { kind: 'down', server: 'a' },
        { kind: 'cut', server: 'a' },
      ],
      memory: { routed: 'b@7', serving: true, routedAtMs: 100_000 },
      because: 'b is the primary',
    });
    const memory = { routed: 'b@7', serving: true, routedAtMs: 100_000 };
    const later = { view: bLeads, haproxy: [server('a', false, { sessions: 2 }), server('b', true)], memory };
    expect(decide({ ...later, monotonicMs: 100_050 })).toEqual({
      commands: [{ kind: 'cut', server: 'a' }],
      memory,
      because: null,
    });
  });

  it('leaves the last word on the primary to the checks once it has led for a while', () => {
    const haproxy = [server('a', false), server('b', false)];
    expect(decide({ haproxy }).commands).toEqual([]);
    expect(decide({ haproxy, monotonicMs: 9000 }).commands).toEqual([{ kind: 'up', server: 'a' }]);
  });

  it('raises it again when it serves again after an interruption', () => {
    const haproxy = [server('a', false), server('b', false)];
    expect(decide({ haproxy, memory: aLost }).commands).toEqual([{ kind: 'up', server: 'a' }]);
  });

  it('puts down any other server that looks up, at any time', () => {
    const { commands, because } = decide({ haproxy: [server('a', true), server('b', true)] });
    expect(commands).toEqual([{ kind: 'down', server: 'b' }]);
    expect(because).toContain('disagreed');
  });

  it('leaves what an operator has in maintenance alone', () => {
    const haproxy = [server('a', true, { ours: false, sessions: 2 }), server('b', false, { ours: false })];
    expect(decide({ view: bLeads, haproxy }).commands).toEqual([]);
  });

  it('puts no server down for a primary HAProxy does not know, and says so once', () => {
    const first = decide({ view: bLeads, haproxy: [server('a', true)] });
    expect(first.commands).toEqual([]);
    expect(first.because).toContain('no server named b');
    expect(decide({ view: bLeads, haproxy: [server('a', true)], memory: first.memory }).because).toBeNull();
  });
});

describe('between two primaries', () => {
  const bTook = view('b', [member('a', 'primary'), member('b', 'replica')], '7');
  const inUse = [server('a', true, { sessions: 3 }), server('b', false)];

  it('retires the old one as soon as another holds the key, where clients can wait for the new one', () => {
    const first = decide({ view: bTook, haproxy: inUse, hasWaitingRoom: true });
    expect(first.commands).toEqual([
      { kind: 'down', server: 'a' },
      { kind: 'cut', server: 'a' },
    ]);
    expect(decide({ view: bTook, haproxy: inUse, hasWaitingRoom: true, memory: first.memory }).commands).toEqual(first.commands);
    expect(decide({ view: bTook, haproxy: inUse }).commands).toEqual([]);
  });

  it('closes every server of a standby cluster once its leader has ended as a primary', () => {
    const config = { raw: '', data: { standby_cluster: { host: 'elsewhere' } }, modRevision: '8' };
    const standby = (role: Member['role'], state?: Member['state'], leader = 'a') => ({
      ...view(leader, [member('a', role, state), member('b', 'replica')]),
      config,
    });
    expect(decide({ view: standby('primary'), haproxy: inUse }).commands).toEqual([]);
    const closed = [
      { kind: 'down', server: 'a' },
      { kind: 'cut', server: 'a' },
    ];
    for (const seen of [standby('standby_leader'), standby('primary', 'stopping'), standby('replica')]) {
      for (const memory of [aServed, NEW_ROUTER]) expect(decide({ view: seen, haproxy: inUse, memory }).commands).toEqual(closed);
    }
    expect(decide({ view: standby('standby_leader'), haproxy: inUse }).because).toBe('a leads a standby cluster, which takes no writes');
    expect(decide({ view: standby('replica', 'running', 'c'), haproxy: inUse }).commands).toEqual([]);
  });

  it.each([
    ['nobody holds the key', nobody, aServed],
    ['the old one holds it, and is not serving', view('a', [member('a', 'replica'), member('b', 'replica')], '8'), aServed],
    ['HAProxy does not know the new one', view('c', [member('c', 'replica')], '8'), aServed],
    ['it has not seen a primary yet', bTook, NEW_ROUTER],
  ])('leaves the old one alone while %s', (_what, seen, memory) => {
    expect(decide({ view: seen, haproxy: inUse, hasWaitingRoom: true, memory }).commands).toEqual([]);
  });

  it('leaves the servers as they are, and says so once', () => {
    const first = decide({ view: nobody });
    expect(first).toMatchObject({ commands: [], memory: aLost, because: expect.stringContaining('nobody') });
    expect(decide({ view: nobody, memory: first.memory }).because).toBeNull();
  });

  it.each([member('b', 'replica'), member('b', 'promoted'), member('b', 'primary', 'starting'), member('b', null)])(
    'waits until the promotion is finished by the new leader’s own record ($role, $state)',
    (record) => {
      expect(decide({ view: view('b', [member('a', 'replica'), record], '7'), memory: aLost }).commands).toEqual([]);
    },
  );
});

it('has exactly the primary up whenever there is one, whatever the checks did, and then changes nothing', () => {
  const roles = fc.constantFrom<Member['role']>('primary', 'replica', null);
  const states = fc.constantFrom<Member['state']>('running', 'stopping');
  const step = fc.record({
    leader: fc.constantFrom('a', 'b', null),
    a: fc.tuple(roles, states),
    b: fc.tuple(roles, states),
    flips: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
      const up: Record<string, boolean> = { a: true, b: true };
      let memory = NEW_ROUTER;
      for (const [index, { leader, a, b, flips }] of steps.entries()) {
        for (const name of flips) up[name] = !up[name];
        const seen = view(leader, [member('a', ...a), member('b', ...b)], String(index));
        const look = () => {
          const haproxy = { servers: [server('a', up['a']!), server('b', up['b']!)], hasWaitingRoom: false };
          return routerCommands({ view: seen, haproxy, memory, assertMs: 10_000, monotonicMs: index });
        };
        const decision = look();
        memory = decision.memory;
        for (const { kind, server: name } of decision.commands) up[name] = kind === 'up';
        const serving = leader !== null && (leader === 'a' ? a : b).join() === 'primary,running';
        if (serving) expect([up['a'], up['b']]).toEqual([leader === 'a', leader === 'b']);
        else expect(decision.commands).toEqual([]);
        expect(look().commands).toEqual([]);
      }
    }),
  );
});
