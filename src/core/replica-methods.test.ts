import { describe, expect, it } from 'vitest';
import { methodsWithoutLeader, replicaMethods } from './replica-methods.ts';

const both = {
  createReplicaMethods: ['pgbackrest', 'basebackup'],
  methodOptions: { pgbackrest: { command: '/usr/bin/restore', no_leader: true } },
};

describe('the ways to make a replica', () => {
  it.each([
    ['in the order given', both, true, false, ['pgbackrest', 'basebackup']],
    ['pg_basebackup where none is named', { createReplicaMethods: [], methodOptions: {} }, true, false, ['basebackup']],
    ['pg_basebackup only, where the operator wants the leader', both, true, true, ['basebackup']],
    ['those with no_leader, while nobody leads', both, false, false, ['pgbackrest']],
    ['none while nobody leads, where none has no_leader', { ...both, methodOptions: { pgbackrest: {} } }, false, false, []],
  ])('%s', (_, configured, hasSource, fromLeader, expected) => {
    expect(replicaMethods(configured, hasSource, fromLeader).methods).toEqual(expected);
  });

  it('names the methods that the operator passes over', () => {
    expect(replicaMethods(both, true, true).because).toContain('not tried: pgbackrest');
  });

  it('never counts pg_basebackup among those that need no leader', () => {
    const odd = {
      createReplicaMethods: ['basebackup', 'walg'],
      methodOptions: { basebackup: { no_leader: true }, walg: { no_leader: 'on' } },
    };
    expect(methodsWithoutLeader(odd)).toEqual(['walg']);
  });
});
