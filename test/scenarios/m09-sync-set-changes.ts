import { expect } from 'vitest';
import { realNames } from '../../src/core/sync-names.ts';
import { quorum, type Scenario, type Story } from './story.ts';

/** Looked at after every event, so that no moment is missed in which the primary could die. */
function always(story: Story, holds: (voters: readonly string[], names: readonly string[]) => boolean): void {
  const { world, a } = story;
  world.sim.afterEvent.push(() => {
    const { sync } = world.etcd.view();
    if (sync?.leader !== 'a' || !a.server.commits) return;
    const names = realNames(a.server.sessions.names());
    if (!holds(sync.standbys, names))
      throw new Error(`/sync ${sync.standbys.join(', ')} (${sync.quorum}), commits wait for ${names.join(', ')}`);
  });
}

export const quorumShrinks: Scenario = {
  id: 'm09-quorum-shrinks',
  mechanism: 'A standby goes. The list of who confirms shrinks on the primary and in etcd, and the primary dies in between.',
  answer:
    'changes one of the two at a time, in an order in which those who may elect and those who confirmed overlap at every moment: |voters ∪ names| <= quorum + count.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    always(story, (voters, names) => {
      const { count } = a.server.sessions.names();
      return new Set([...voters, ...names]).size <= (world.etcd.view().sync?.quorum ?? 0) + (names.length === 0 ? 0 : count);
    });
    story.client.start();
    await story.run(1050);
    story.fault('c loses power', () => c.crash());
    await story.until('commits wait for b alone', () => a.server.obeyed === 'ANY 1 (b)', 15_000);
    await story.until('/sync relies on b alone', () => world.etcd.view().sync?.quorum === 0, 5000);
    story.fault('a loses power', () => a.crash());
    await story.leads(b, 20_000);
    expect(story.lost).toBe(0);
    story.operator('a and c are switched on again', () => {
      a.boot();
      c.boot();
    });
    await story.back();
    await story.until('both confirm', () => world.etcd.view().sync?.standbys.length === 2, 10_000);
  },
};

export const standbyReplaced: Scenario = {
  id: 'm09-standby-replaced',
  mechanism: 'The one synchronous standby goes, and another takes its place; the primary dies on the way.',
  answer:
    'takes the old one off /sync before commits stop waiting for it, and puts the new one there only when it has everything that was acknowledged.',
  config: { synchronous_mode: 'on' },
  play: async (story) => {
    const { world, a } = story;
    always(story, (voters, names) => voters.every((name) => names.includes(name)));
    const first = world.etcd.view().sync?.standbys[0] ?? '';
    story.client.start();
    await story.run(1050);
    story.fault(`${first} loses power`, () => world.node(first).crash());
    const other = first === 'b' ? story.c : story.b;
    await story.until('the other may lead', () => world.etcd.view().sync?.standbys.includes(other.name) === true, 15_000);
    story.fault('a loses power', () => a.crash());
    await story.leads(other, 20_000);
    expect(story.lost).toBe(0);
    story.operator(`a and ${first} are switched on again`, () => {
      a.boot();
      world.node(first).boot();
    });
    await story.back();
  },
};
