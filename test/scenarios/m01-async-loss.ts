import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { quorum, type Scenario, type Story } from './story.ts';

/**
 * The primary goes on committing while nothing of it reaches a standby, and is then gone for good:
 * before its standbys miss it, where they may replace it for that.
 */
async function cutOffAndGone(story: Story, cutMs: number): Promise<number> {
  story.client.start();
  await story.run(3000);
  story.fault('no WAL gets from a to b and c any more', () => story.cut('a', 'b', 'c'));
  await story.run(cutMs);
  const { clients } = story.world;
  const onC = new Set(clients.missingOn(story.c));
  const unshipped = clients.missingOn(story.b).filter((commit) => onC.has(commit)).length;
  story.fault('a loses power', () => story.a.crash());
  await story.until('a successor', () => story.world.leader !== null, 20_000);
  story.heal('a', 'b', 'c');
  story.operator('a is switched on again', () => story.a.boot());
  await story.back();
  return unshipped;
}

export const asyncLoss: Scenario = {
  id: 'm01-async-loss',
  mechanism: 'Asynchronous replication: what the primary acknowledged and had not shipped yet dies with it.',
  answer: 'promises nothing here, and loses no more than that. docs/limits.md says so, and what avoids it (the next story).',
  play: async (story) => {
    const unshipped = await cutOffAndGone(story, 1500);
    expect(unshipped).toBeGreaterThan(10);
    story.note(`${unshipped} commits were acknowledged that never left a`);
    expect(story.lost).toBe(unshipped);
    expect(readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')).toContain('(M1)');
  },
};

export const quorumLosesNothing: Scenario = {
  id: 'm01-quorum-loses-nothing',
  mechanism: 'The same loss of the primary, with synchronous_mode: quorum.',
  answer: 'acknowledges no commit that only the primary has, so there is nothing to lose.',
  config: quorum,
  play: async (story) => {
    const unshipped = await cutOffAndGone(story, 700);
    expect(unshipped).toBe(0);
    expect(story.lost).toBe(0);
  },
};
