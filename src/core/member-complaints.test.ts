import { describe, expect, it } from 'vitest';
import { memberComplaints } from './member-complaints.ts';

const of = (name: string, version: string | null = '4.1.4') => ({ name, version });

describe('members that do not go together', () => {
  it('finds nothing wrong with ordinary ones', () => {
    expect(memberComplaints([of('a'), of('b', '4.0.0'), of('c', null), of('d', 'unheard of'), of('e', '10.1.0')], 'quorum')).toEqual([]);
    expect(memberComplaints([], 'quorum')).toEqual([]);
  });

  it('names members that do not know quorum mode, where that is in force', () => {
    const members = [of('a'), of('b', '3.3.8'), of('c', '3.0.2')];
    expect(memberComplaints(members, 'on')).toEqual([]);
    expect(memberComplaints(members, 'off')).toEqual([]);
    const found = memberComplaints(members, 'quorum');
    expect(found).toHaveLength(2);
    expect(found[0]).toMatch(/^b runs Patroni 3\.3\.8, .*synchronous_mode: on/);
    expect(found[1]).toMatch(/^c runs Patroni 3\.0\.2/);
  });

  it('names members that PostgreSQL cannot tell apart', () => {
    const long = 'n'.repeat(63);
    expect(memberComplaints([of(`${long}1`), of(`${long}2`)], 'off').at(-1)).toContain(`rename all but one: ${long}1 and ${long}2`);
    expect(memberComplaints([of('knoten-ä'), of('knoten-b')], 'off')).toEqual([]);
  });

  it('names a permanent logical slot in the place of a member’s', () => {
    const slots = { a: { type: 'physical' }, b_1: { type: 'logical', database: 'shop', plugin: 'pgoutput' } } as const;
    expect(memberComplaints([of('a'), of('b-1')], 'off', slots)).toEqual([
      'the permanent logical slot b_1 has the name of b-1’s own slot and is ignored: rename it in slots',
    ]);
  });

  it('names members that share a slot, in one line', () => {
    expect(memberComplaints([of('a-b'), of('a.b'), of('c')], 'off')).toEqual([
      'members share one replication slot name, rename all but one: a-b and a.b',
    ]);
  });
});
