/**
 * A bootstrap that ended between initdb and the leader key: what etcd's initialize says decides,
 * and in doubt the directory stays as it is.
 */
import { describe, expect, it } from 'vitest';
import { memory, observation, pg, SYSTEM_ID, settings, view } from '../../../test/support/build.ts';
import type { ClusterView } from '../cluster.ts';
import { decide } from '../decide.ts';
import type { PostgresFacts } from '../postgres-facts.ts';

const OTHER = '1111111111111111111';
const marked = (facts: PostgresFacts): PostgresFacts => ({ ...facts, dataDir: 'incomplete', incompleteWork: 'publication' });
const stopped = marked(pg.stopped({ state: 'in production' }));
const running = marked(pg.primary());

function decided(over: Partial<ClusterView> & { leaderName?: string }, facts = stopped, pause = false) {
  return decide(observation({ view: view(over), pg: facts, settings: settings('a', { dynamic: { pause } }) }), memory());
}
const removes = (decision: ReturnType<typeof decide>) =>
  decision.effects.some(({ kind, ...more }) => kind === 'start-job' && 'job' in more && /bootstrap|clone|reinitialize/.test(more.job.kind));

describe('published', () => {
  it.each([
    ['stopped', stopped],
    ['running, left by an agent that was killed', running],
  ])('%s: only the mark is removed, whichever node leads and paused or not', (_, facts) => {
    for (const leaderName of [undefined, 'a', 'b'])
      for (const pause of [false, true]) {
        const lead = leaderName === undefined ? {} : { leaderName };
        const decision = decided({ initialize: SYSTEM_ID, ...lead }, facts, pause);
        // What serves writes without the key is stopped first, and a key of ours is put on the
        // lease: neither touches data.
        if (decision.rule === 'data.published') expect(decision.effects).toContainEqual({ kind: 'mark-published' });
        else expect(decision.rule).toMatch(/^fence\./);
        expect(removes(decision)).toBe(false);
      }
    expect(decided({ initialize: SYSTEM_ID }, facts).rule).toBe('data.published');
    expect(decided({ initialize: SYSTEM_ID, leaderName: 'b' }, stopped).rule).toBe('data.published');
  });
});

describe('not published', () => {
  it('is published now where no other node made one', () => {
    for (const facts of [stopped, running])
      expect(decided({ initialize: null }, facts).effects).toContainEqual({
        kind: 'write-initialize',
        systemIdentifier: SYSTEM_ID,
        onlyIfAbsent: true,
      });
  });

  it('waits while another makes one, and in a pause', () => {
    for (const decision of [decided({ initialize: '' }), decided({ initialize: OTHER }), decided({ initialize: null }, stopped, true)])
      expect(decision.effects.filter(({ kind }) => kind !== 'write-initialize')).toEqual(decision.effects);
    expect(decided({ initialize: '' }).rule).toBe('data.wait');
    expect(decided({ initialize: OTHER }).rule).toBe('data.wait');
    expect(decided({ initialize: null }, stopped, true).rule).toBe('data.paused');
  });

  it('is cloned over once another cluster leads; the agent does not end', () => {
    const decision = decided({ initialize: OTHER, leaderName: 'b' });
    expect(decision.rule).toBe('data.clone');
    expect(removes(decision)).toBe(true);
  });

  it('gives back a leader key from before', () => {
    const decision = decide(
      observation({
        view: view({ initialize: OTHER, leaderName: 'a' }),
        pg: stopped,
        lease: { leaseId: 'lease-a', ttlSeconds: 30, confirmedSentAtMs: 9000 },
      }),
      memory(),
    );
    expect(decision.rule).toBe('data.released');
  });
});

describe('in doubt', () => {
  it('decides nothing while its identity cannot be read', () => {
    const unreadable = { ...stopped, systemIdentifier: null, control: null };
    for (const initialize of [SYSTEM_ID, OTHER, null, '']) {
      for (const lead of [{}, { leaderName: 'b' }]) {
        const decision = decided({ initialize, ...lead }, unreadable);
        expect(decision.rule).toBe('data.publication-unknown');
        expect(decision.effects).toEqual([]);
      }
    }
  });

  it('decides nothing and starts nothing while etcd cannot be read', () => {
    const decision = decide(observation({ view: null, pg: stopped }), memory());
    expect(decision.rule).toBe('fence.wait-for-etcd');
    expect(decision.effects).toEqual([]);
  });
});
