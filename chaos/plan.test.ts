import { describe, expect, it } from 'vitest';
import { drawEpisode, groupOf, KINDS, type PlanTerms, SMALL_KINDS, titleOf } from './plan.ts';

const terms: PlanTerms = { seed: 42, ttlMs: 5000, members: 3, kinds: KINDS, small: false };
const many = (of: PlanTerms) => Array.from({ length: 2000 }, (_, i) => drawEpisode(of, i + 1));

describe('the plan of a chaos run', () => {
  it('is the same for the same seed, whatever was drawn before', () => {
    const seventh = drawEpisode(terms, 7);
    expect(many(terms)[6]).toEqual(seventh);
    expect(drawEpisode({ ...terms, seed: 43 }, 7)).not.toEqual(seventh);
  });

  it('has every kind, on the leader and on every replica, alone and two at once', () => {
    const episodes = many(terms);
    const faults = episodes.flatMap((episode) => episode.faults);
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(KINDS));
    const onMembers = faults.filter(({ kind }) => kind === 'kill.node').map(({ target }) => JSON.stringify(target));
    expect(new Set(onMembers)).toEqual(new Set(['"leader"', '{"replica":0}', '{"replica":1}']));
    expect(new Set(episodes.map(({ faults: { length } }) => length))).toEqual(new Set([1, 2]));
  });

  it('holds some faults shorter than half the ttl, and some longer than all of it', () => {
    const holds = many(terms).map(({ holdMs }) => holdMs);
    expect(Math.min(...holds)).toBeLessThan(terms.ttlMs / 4);
    expect(Math.max(...holds)).toBeGreaterThan(terms.ttlMs * 1.5);
  });

  it('draws only what is asked for', () => {
    const kinds = new Set(many({ ...terms, kinds: ['cut.off'] }).flatMap(({ faults }) => faults.map(({ kind }) => kind)));
    expect([...kinds]).toEqual(['cut.off']);
  });

  it('draws small faults one at a time, a pause of an agent for two seconds', () => {
    const episodes = many({ ...terms, kinds: SMALL_KINDS, small: true });
    expect(new Set(episodes.map(({ faults }) => faults.length))).toEqual(new Set([1]));
    const holdsOf = (wanted: string) => episodes.filter(({ faults: [first] }) => first!.kind === wanted).map(({ holdMs }) => holdMs);
    expect(new Set(holdsOf('small.pause'))).toEqual(new Set([2000]));
    expect(Math.min(...holdsOf('small.load'))).toBeGreaterThan(3000);
  });

  it('names episodes by what they do, and to whom', () => {
    const fault = { kind: 'kill.node', target: 'leader', chance: 0 } as const;
    const whole = { kind: 'etcd.all', target: null, chance: 0 } as const;
    const episode = { number: 1, apartMs: 0, holdMs: 0, calmMs: 0 };
    expect(titleOf({ ...fault, target: { replica: 1 } })).toBe('kill.node replica');
    expect(groupOf({ ...episode, faults: [whole] })).toBe('etcd.all');
    expect(groupOf({ ...episode, faults: [fault] })).toBe('kill.node leader');
    expect(groupOf({ ...episode, faults: [fault, whole] })).toBe('two at once');
  });
});
