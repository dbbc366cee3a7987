/** Where a member without data, or with data that must go, gets its copy. */
import { expect, it } from 'vitest';
import { member, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { type CloneSource, cloneSource, sourceWithoutData } from './clone-source.ts';
import { type Context, contextOf } from './context.ts';
import type { DynamicSettings } from './settings.ts';

/** b leads, and c offers itself. */
function source(
  sync: { leader: string; standbys: readonly string[] } | null,
  synchronousMode: DynamicSettings['synchronousMode'],
  find: (c: Context) => CloneSource | null = cloneSource,
) {
  const members = [member('a'), member('b', { role: 'primary' }), member('c', { tags: { clonefrom: true } })];
  const set = sync === null ? null : { ...sync, quorum: 1, modRevision: '3' };
  const seen = { ...view({ leaderName: 'b', members }), sync: set };
  const o = observation({ view: seen, settings: settings('a', { dynamic: { synchronousMode } }), pg: pg.none });
  const found = find(contextOf(o, memory()));
  return found && [found.source.name, found.sourceRole, found.fromLeader];
}

it('is a replica tagged clonefrom, unless the operator wants the leader', () => {
  expect(source(null, 'off')).toEqual(['c', 'replica', false]);
  expect(source(null, 'off', (c) => cloneSource(c, true))).toEqual(['b', 'leader', true]);
});

it('is the leader, as /sync names it, while /sync counts on commits that a member without data had confirmed', () => {
  expect(source({ leader: 'b', standbys: ['a', 'c'] }, 'quorum', sourceWithoutData)).toEqual(['b', 'leader', false]);
  expect(source({ leader: 'b', standbys: ['c'] }, 'quorum', sourceWithoutData)).toEqual(['c', 'replica', false]);
  expect(source({ leader: 'b', standbys: ['a', 'c'] }, 'off', sourceWithoutData)).toEqual(['b', 'leader', false]);
  expect(source({ leader: 'b', standbys: [] }, 'off', sourceWithoutData)).toEqual(['c', 'replica', false]);
  expect(source({ leader: 'c', standbys: ['a', 'b'] }, 'on', sourceWithoutData)).toBe(null);
});
