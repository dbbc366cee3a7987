/**
 * A primary may wake up while no member leads, after a sleep, say. Another one may have led so
 * briefly meanwhile that only /sync tells.
 */
import { expect, it } from 'vitest';
import { memory, observation, peers, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';

const sync = (leader: string | null) => ({ leader, quorum: 0, standbys: [], modRevision: '3' });
const request = { leader: null, candidate: 'a', scheduledAt: null, scheduledAtMs: null, modRevision: '4' };
const on = (pause = false) => settings('a', { dynamic: { synchronousMode: 'on', pause } });
const decision = (over: Scene) => decide(observation({ settings: on(), pg: pg.primary(), peers: peers(), ...over }), memory());

it('does not take the key back once /sync names another leader', () => {
  const { rule, effects } = decision({ view: view({ sync: sync('b') }) });
  expect(rule).toBe('primary.outdated');
  expect(effects).toContainEqual({ kind: 'demote-now', mode: 'immediate' });
  const paused = decision({ view: view({ sync: sync('b') }), settings: on(true) });
  expect(paused.rule).toBe('paused.primary');
  expect(paused.effects).not.toContainEqual({ kind: 'acquire-leader' });
});

it.each([
  ['/sync names it still', { view: view({ sync: sync('A') }) }],
  ['/sync names nobody', { view: view({ sync: sync(null) }) }],
  ['commits do not wait for standbys', { view: view({ sync: sync('b') }), settings: settings('a') }],
  ['the operator names it for a failover', { view: view({ sync: sync('b'), failover: request }) }],
] as const)('takes it where %s', (_why, over) => {
  expect(decision(over)).toMatchObject({ rule: 'primary.acquire', effects: [{ kind: 'acquire-leader' }] });
});
