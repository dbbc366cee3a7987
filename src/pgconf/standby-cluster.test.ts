/** What the files of a standby cluster's members say, by their role in it. */
import { expect, it } from 'vitest';
import { someSettings } from '../../test/fixtures/agent.ts';
import { parseConninfo } from '../core/conninfo.ts';
import type { ServerRole } from '../core/effects.ts';
import { remoteSource } from '../core/remote.ts';
import type { StandbyClusterSettings } from '../core/settings.ts';
import { recoveryGucs } from './server-config.ts';

const followed: StandbyClusterSettings = {
  endpoints: [
    { host: 'a', port: 5432 },
    { host: 'b', port: 5433 },
  ],
  primarySlotName: 'dc2',
  restoreCommand: 'get %f %p',
  archiveCleanupCommand: 'clean %r',
  recoveryMinApplyDelay: '5min',
  createReplicaMethods: [],
};

function gucs(role: ServerRole, over: Partial<StandbyClusterSettings> = {}, useSlots = true): Record<string, string> {
  const dynamic = { standbyCluster: { ...followed, ...over }, useSlots };
  return recoveryGucs(someSettings({ dynamic, postgresql: { recoveryConf: { restore_command: 'own' } } }), role, 15);
}

const source = remoteSource({ standbyCluster: followed });
const leading: ServerRole = { kind: 'standby', source, leads: true };
const cascading: ServerRole = { kind: 'standby', source: { name: 'pg-2', host: '10.0.0.12', port: 5432 } };
const alone: ServerRole = { kind: 'standby', source: null };

it('the standby leader follows the server that takes writes, by its slot, as late as it is told', () => {
  const told = gucs(leading, {}, false);
  expect(parseConninfo(told['primary_conninfo'] ?? '')).toMatchObject({
    host: 'a,b',
    port: '5432,5433',
    target_session_attrs: 'read-write',
  });
  expect(told).toMatchObject({
    primary_slot_name: 'dc2',
    restore_command: 'get %f %p',
    archive_cleanup_command: 'clean %r',
    recovery_min_apply_delay: '5min',
  });
});

it('of one server it is asked for no role, and without a slot none is used', () => {
  const one = { ...followed, endpoints: followed.endpoints.slice(0, 1), primarySlotName: null };
  const told = gucs({ kind: 'standby', source: remoteSource({ standbyCluster: one }), leads: true }, one);
  expect(parseConninfo(told['primary_conninfo'] ?? '')).not.toHaveProperty('target_session_attrs');
  expect(told['primary_slot_name']).toBe('');
});

it('outside it has a name that no member of another cluster has, which would be counted for that one', () => {
  const calledBy = (role: ServerRole) => parseConninfo(gucs(role)['primary_conninfo'] ?? '')?.['application_name'];
  expect([calledBy(leading), calledBy(cascading)]).toEqual(['demo/pg-1', 'pg-1']);
});

it('a member that follows the standby leader reads the same archive, with its own slot and no delay', () => {
  const told = gucs(cascading);
  expect(told).toMatchObject({ restore_command: 'get %f %p', archive_cleanup_command: 'clean %r', primary_slot_name: 'pg_1' });
  expect(told).not.toHaveProperty('recovery_min_apply_delay');
});

it('a member that must be compared first reads no archive', () => {
  expect(gucs(alone)).toMatchObject({ primary_conninfo: '', restore_command: '', archive_cleanup_command: '' });
});

it('with an archive alone there is nothing to compare with', () => {
  expect(gucs({ ...alone, leads: true }, { endpoints: [] })).toMatchObject({
    primary_conninfo: '',
    restore_command: 'get %f %p',
    recovery_min_apply_delay: '5min',
  });
});

it('a member keeps its own command where the cluster has none', () => {
  expect(gucs(leading, { restoreCommand: null })['restore_command']).toBe('own');
});

it('a primary knows nothing of it', () => {
  expect(gucs({ kind: 'primary' })).toEqual({ restore_command: 'own' });
});
