/**
 * For Patroni 3.0.2, whose tables have `Lag in MB`. Their cells are compared: the title has no
 * system identifier there, and a replica that streams is called running.
 */
import { type Differs, DONE as rest, type TypedCases } from './cluster.ts';

const env = { REGENT_LIST_LSN: 'off' };

export const older: TypedCases = (typed) => {
  const tags = { 'members/pg2': { tags: { nofailover: true, dc: 'east' } }, 'members/pg3': { tags: { replicatefrom: 'pg2' } } };
  for (const line of ['list', 'list -f json', 'list -f tsv', 'list -f yaml', 'topology']) {
    typed(line, { env });
    typed(line, { env, keys: tags, note: 'tags' });
  }
  typed('list', { env, keys: { config: { synchronous_mode: true }, sync: { leader: 'pg1', sync_standby: 'pg2' } }, note: 'synchronous' });
  typed('list', { env, keys: { config: { pause: true }, failover: { leader: 'pg1', scheduled_at: '2030-01-01T00:00:00+00:00' } } });
  for (const line of ['history', 'history -f json', 'history -f yaml', 'show-config', 'dsn', 'dsn -r replica', 'dsn -m nobody'])
    typed(line);
  for (const words of ['-s ttl=40', '-p max_connections=null', '-s ttl=30', '-s a']) typed(`edit-config ${words} --force`);
  typed('edit-config -s ttl=40', { input: 'y\n' });
  const asked = ['switchover --leader pg1 --candidate pg2 --force', 'pause', 'reload demo --force'];
  for (const line of [...asked, 'restart demo pg2 --force', 'flush demo pg2 restart --force', 'flush demo switchover'])
    typed(line, { env, rest });
  const newer = (asked: RegExp): Differs => ({ why: 'newer requests', asked });
  typed('failover --candidate pg2 --force', { env, rest, differs: newer(/^pg1 POST \/failover \{"candidate":"pg2"\}$/) });
  typed('reinit demo pg2 --force', { env, rest, differs: newer(/^pg2 POST \/reinitialize \{"force":true,"from_leader":false\}$/) });
  typed('switchover', { env, rest, input: '\n\n\ny\n' });
  typed('remove demo', { env, input: 'demo\nYes I am aware\npg1\n' });
  for (const line of ['nothing', 'list --nothing', 'remove', 'history a b', 'query', 'resume']) typed(line, { env });
};
