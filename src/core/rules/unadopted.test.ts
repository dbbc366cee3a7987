/**
 * A server that ran here before its agent did: it is taken over where that can be done, and
 * otherwise goes on as it is.
 */
import { describe, expect, it } from 'vitest';
import { memory, noLease, observation, pg, SYSTEM_ID, settings, view } from '../../../test/support/build.ts';
import type { ClusterView } from '../cluster.ts';
import { decide } from '../decide.ts';
import type { PostgresFacts } from '../postgres-facts.ts';

const unmanaged = (facts: PostgresFacts): PostgresFacts => ({ ...facts, unmanaged: true });
const refused = unmanaged({ ...pg.starting(), state: 'running', refusal: 'password authentication failed; set it' });
const starting = unmanaged(pg.starting());
const silent = unmanaged({ ...pg.starting(), state: 'unresponsive' });

function decided(seen: (Partial<ClusterView> & { leaderName?: string }) | null, facts: PostgresFacts, more: { pause?: boolean } = {}) {
  return decide(
    observation({
      view: seen === null ? null : view(seen),
      pg: facts,
      lease: noLease,
      settings: settings('a', { dynamic: { pause: more.pause ?? false } }),
    }),
    memory(),
  );
}

describe('one that does not let the agent in', () => {
  it.each([
    ['refuses it', refused],
    ['is starting', starting],
    ['is silent', silent],
  ])('(it %s) is left alone, whatever etcd says of the cluster', (_, facts) => {
    for (const seen of [{ initialize: null }, { initialize: SYSTEM_ID }, { initialize: '' }, { leaderName: 'b' }, null])
      for (const pause of [false, true]) {
        const decision = decided(seen, facts, { pause });
        expect(decision.effects).toEqual([]);
        expect(decision.memory.role).toBe('uninitialized');
        expect(decision.rule).toBe(seen === null ? 'fence.wait-for-etcd' : 'data.refused');
      }
  });

  it('says what it needs', () => {
    const { because } = decided({ initialize: null }, refused);
    expect(because).toBe(
      'PostgreSQL (pid 7) runs, and has not been taken over; it is left as it is until it lets the agent in: password authentication failed; set it',
    );
  });

  it('goes on when the agent ends', () => {
    for (const seen of [view({ initialize: null }), view({ leaderName: 'b' }), null]) {
      const o = observation({ view: seen, pg: refused, lease: noLease, requests: { shutdown: true, restart: null, reinitialize: null } });
      expect(decide(o, memory()).effects).toMatchObject([{ kind: 'exit', code: 0 }]);
    }
  });

  it('initializes no cluster, and a standby of ours does not before it answers: whether it may is not known', () => {
    for (const facts of [
      { ...pg.starting(), standbySignal: true },
      { ...pg.starting(), standbySignal: true, state: 'running' as const },
      refused,
    ])
      expect(decided({ initialize: null }, facts).effects).toEqual([]);
  });

  it('is ours where an agent wrote its files, or holds the leader key: then it is fenced as ever', () => {
    const { unmanaged: _, ...ours } = refused;
    expect(decided({}, ours).rule).toBe('fence.opening-unlocked');
    expect(decided({ leaderName: 'b' }, ours).rule).toBe('fence.other-leader');
    const key = { leaseId: 'lease-a', stepDownAtMs: 9000 };
    expect(decide(observation({ view: null, pg: refused, lease: noLease, key }), memory()).rule).toBe('fence.lease-ended');
  });

  it('can be cloned over at the operator’s request', () => {
    const requests = { shutdown: false, restart: null, reinitialize: { fromLeader: true } };
    const decision = decide(observation({ view: view({ leaderName: 'b' }), pg: refused, requests }), memory());
    expect(decision.rule).toBe('request.reinitialize');
  });
});

describe('a primary that lets the agent in', () => {
  const primary = unmanaged(pg.primary());

  it('becomes the first member of a cluster that is not initialized', () => {
    expect(decided({ initialize: null }, primary).effects).toContainEqual({
      kind: 'write-initialize',
      systemIdentifier: SYSTEM_ID,
      onlyIfAbsent: true,
    });
  });

  it('goes on taking writes while etcd does not answer, because no client was led to it', () => {
    expect(decided(null, primary).effects).toEqual([]);
    expect(decided(null, pg.primary()).rule).toBe('fence.lease-ended');
  });

  it('of another cluster is not stopped; the agent ends', () => {
    for (const seen of [{ initialize: '1111111111111111111' }, { initialize: '1111111111111111111', leaderName: 'b' }]) {
      expect(decided(seen, primary).effects).toMatchObject([{ kind: 'exit', code: 1 }]);
    }
  });

  it('of this cluster is fenced while another member leads', () => {
    expect(decided({ leaderName: 'b' }, primary).rule).toBe('fence.other-leader');
  });
});
