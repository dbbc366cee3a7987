/** What `standby_cluster` means: Patroni's reading of it, and never a primary by mistake. */
import { expect, it } from 'vitest';
import type { JsonObject } from '../support/json.ts';
import { resolveDynamic } from './dynamic.ts';

const read = (standby_cluster: JsonObject, more: JsonObject = {}) => resolveDynamic({ ...more, standby_cluster });
const followed = (value: JsonObject) => read(value).dynamic.standbyCluster;

it.each<[JsonObject, readonly string[]]>([
  [{ host: 'h' }, ['h:5432']],
  [{ host: 'h', port: 5433 }, ['h:5433']],
  [{ host: 'a,b', port: '5432,5433' }, ['a:5432', 'b:5433']],
  [{ host: 'a, b', port: '5433' }, ['a:5433', 'b:5433']],
  [{ port: 5433 }, ['localhost:5433']],
  [{ restore_command: 'cp' }, []],
])('%j follows %j', (value, places) => {
  expect(followed(value)?.endpoints.map(({ host, port }) => `${host}:${port}`)).toEqual(places);
  expect(read(value).problems).toEqual([]);
});

it.each<[JsonObject]>([
  [{}],
  [{ host: '' }],
  [{ primary_slot_name: 's' }],
  [{ host: null, port: null }],
  [{ create_replica_methods: ['x'] }],
])('%j makes no standby cluster', (value) => {
  expect(followed(value)).toBeNull();
});

it.each<[JsonObject, string]>([
  [{ host: 'h', port: 'x' }, 'standby_cluster.port'],
  [{ host: 'h', port: '1,2' }, 'standby_cluster.port'],
  [{ host: 'h', restore_command: ['cp'] }, 'standby_cluster.restore_command'],
])('%j is one all the same, with a problem', (value, path) => {
  expect(followed(value)?.endpoints).toEqual([{ host: 'h', port: value['port'] === '1,2' ? 1 : 5432 }]);
  expect(read(value).problems).toMatchObject([{ path, severity: 'error' }]);
});

it('reads all of it, and turns off what has to be confirmed', () => {
  const { dynamic } = read(
    {
      host: 'h',
      primary_slot_name: 'dc2',
      restore_command: 'get %f %p',
      archive_cleanup_command: 'clean %r',
      recovery_min_apply_delay: '5min',
      create_replica_methods: ['wal_g', 'basebackup'],
    },
    { synchronous_mode: 'quorum', failsafe_mode: true, failover_on_refusal: true },
  );
  expect(dynamic).toMatchObject({ synchronousMode: 'off', failsafeMode: false, failoverOnRefusal: false });
  expect(dynamic.standbyCluster).toEqual({
    endpoints: [{ host: 'h', port: 5432 }],
    primarySlotName: 'dc2',
    restoreCommand: 'get %f %p',
    archiveCleanupCommand: 'clean %r',
    recoveryMinApplyDelay: '5min',
    createReplicaMethods: ['wal_g', 'basebackup'],
  });
});
