import { describe, expect, it } from 'vitest';
import { haproxyConfig, LOG_TO_STDOUT } from './haproxy-config.ts';

const description = {
  bindAddress: '127.0.0.1',
  writePort: 5000,
  readPort: 5001,
  statsPort: 7000,
  stats: { username: 'admin', password: 'admin', openToTools: false },
  log: LOG_TO_STDOUT,
  runtimeSocket: '/run dir/haproxy.sock',
  nameserver: null,
  members: [
    { name: 'patroni1', host: '127.0.0.1', postgresPort: 5433, restPort: 8008 },
    { name: 'patroni2', host: '127.0.0.1', postgresPort: 5434, restPort: 8009 },
  ],
};

function section(text: string, name: string): string {
  const start = text.indexOf(`\n${name}\n`);
  return text.slice(start, text.indexOf('\n\n', start + 1));
}

describe('haproxyConfig', () => {
  const text = haproxyConfig(description);

  it('sends writes to the primary alone, and notices when its host is gone', () => {
    const primary = section(text, 'backend postgres_primary');
    expect(primary).toContain('option httpchk OPTIONS /primary');
    expect(primary).toMatch(/option srvtcpka\n.*\n.*\n.*\n +default-server tcp-ut 6s maxconn 1000\n/);
    expect(text).not.toMatch(/^ .*shutdown-sessions/m);
    expect(primary).toContain('server patroni2 127.0.0.1:5434 check port 8009');
  });

  it('keeps clients while there is no primary, and leads nobody but the router into the waiting room', () => {
    const primary = section(text, 'backend postgres_primary');
    expect(primary).toMatch(/ {4}option allbackups\n {4}use-server waiting-room if \{ fe_name regent_wait \}\n/);
    expect(primary).toMatch(/\n {4}server waiting-room 127\.0\.0\.1:1 maxconn 1 backup$/);
    expect(text).toContain('frontend regent_wait\n    bind unix@/run\\ dir/wait.sock mode 600\n    default_backend postgres_primary\n');
    expect(section(text, 'backend postgres_replicas')).not.toContain('waiting-room');
  });

  it('sends reads to every healthy node, and soon to none that is not', () => {
    const replicas = section(text, 'backend postgres_replicas');
    expect(replicas).toContain('option httpchk OPTIONS /read-only');
    expect(replicas).toContain('balance roundrobin');
    expect(replicas).toMatch(/option redispatch 1\n {4}timeout connect 500ms\n {4}timeout check 500ms\n/);
    expect(replicas).toContain('default-server inter 1s fastinter 250ms tcp-ut 6s\n');
    expect(replicas).not.toContain('shutdown-sessions');
    expect(replicas.match(/^ {4}server /gm)).toHaveLength(2);
  });

  it('keeps the tutorial’s timings', () => {
    expect(text).toMatch(/default-server inter 3s .*fall 3 rise 2/);
  });

  it('writes no word that would change the meaning of a line', () => {
    const inject = (overlay: Partial<typeof description>) => () => haproxyConfig({ ...description, ...overlay });
    expect(inject({ stats: { ...description.stats, password: 'b c' } })).toThrow(/statistics password/);
    expect(inject({ stats: { ...description.stats, username: 'a\nstats admin if TRUE' } })).toThrow(/statistics user/);
    expect(inject({ members: [{ ...description.members[0]!, name: 'x backup' }] })).toThrow(/name of a member/);
    expect(text).toContain('stats socket /run\\ dir/haproxy.sock');
  });

  it('never repeats a refused password', () => {
    expect(() => haproxyConfig({ ...description, stats: { ...description.stats, password: 'se cret' } })).not.toThrow(/se cret/);
  });

  it('asks every client for the password of its page, or browsers alone', () => {
    expect(text).toContain('stats auth admin:admin');
    const open = haproxyConfig({ ...description, stats: { ...description.stats, openToTools: true } });
    expect(open).not.toContain('stats auth');
    expect(open).toContain('user admin insecure-password admin');
  });

  const members = ['patroni1', 'patroni2', 'patroni3'].map((name) => ({ name, host: name, postgresPort: 5432, restPort: 8008 }));
  const deployed = { ...description, bindAddress: '*', runtimeSocket: '/run/haproxy/admin.sock', members };

  it('is what deploy/haproxy shows', async () => {
    const example = haproxyConfig({ ...deployed, log: '/dev/log local0 notice' });
    const heading = '# HAProxy 2.4 or newer in front of three members named patroni1 to patroni3; docs/haproxy.md explains each line.\n';
    await expect(
      `${heading}# Change the password of the statistics page before anybody else can reach it.\n${example}`,
    ).toMatchFileSnapshot('../../deploy/haproxy/haproxy.cfg');
  });

  it('is what deploy/compose uses', async () => {
    const variable = (name: string) => `"\${${name}}"`;
    const stats = { username: variable('STATS_USER'), password: variable('STATS_PASSWORD'), openToTools: true };
    const stack = haproxyConfig({ ...deployed, stats, nameserver: '127.0.0.11:53' });
    const heading = '# HAProxy of the Compose stack; docs/haproxy.md explains each line. Docker answers for the names of the containers.\n';
    await expect(`${heading}${stack}`).toMatchFileSnapshot('../../deploy/compose/haproxy/haproxy.cfg');
  });
});
