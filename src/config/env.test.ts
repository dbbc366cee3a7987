import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../support/json.ts';
import { readEnvironment } from './env.ts';
import { formatProblem } from './problems.ts';

describe('readEnvironment', () => {
  it.each<[Record<string, string>, JsonObject]>([
    [
      { PATRONI_NAME: 'a', PATRONI_SCOPE: 's', PATRONI_NAMESPACE: '/n/' },
      { name: 'a', scope: 's', namespace: '/n/' },
    ],
    [{ PATRONI_LOG_LEVEL: 'DEBUG', PATRONI_LOGLEVEL: 'ERROR' }, { log: { level: 'DEBUG' } }],
    [
      { PATRONI_LOGLEVEL: 'ERROR', PATRONI_LOGFORMAT: 'f', PATRONI_LOG_DATEFMT: 'd' },
      { log: { level: 'ERROR', format: 'f', dateformat: 'd' } },
    ],
    [{ PATRONI_LOG_MODE: '0640', PATRONI_LOG_FILE_NUM: '3' }, { log: { mode: 0o640, file_num: 3 } }],
    [{ PATRONI_LOG_STATIC_FIELDS: 'app: x, env: y' }, { log: { static_fields: { app: 'x', env: 'y' } } }],
    [{ PATRONI_LOG_STATIC_FIELDS: '{app: x}' }, { log: { static_fields: { app: 'x' } } }],
    [{ PATRONI_LOG_FORMAT: '%(message)s' }, { log: { format: '%(message)s' } }],
    [{ PATRONI_LOG_FORMAT: 'message, {levelname: severity}' }, { log: { format: ['message', { levelname: 'severity' }] } }],
    [{ PATRONI_LOG_DEDUPLICATE_HEARTBEAT_LOGS: 'on' }, { log: { deduplicate_heartbeat_logs: true } }],
    [
      { PATRONI_RESTAPI_LISTEN: 'x:1', PATRONI_RESTAPI_USERNAME: 'u', PATRONI_RESTAPI_PASSWORD: 'p' },
      { restapi: { listen: 'x:1', authentication: { username: 'u', password: 'p' } } },
    ],
    [{ PATRONI_RESTAPI_ALLOWLIST: '10.0.0.0/8, localhost' }, { restapi: { allowlist: ['10.0.0.0/8', 'localhost'] } }],
    [{ PATRONI_RESTAPI_ALLOWLIST: '- a\n- b' }, { restapi: { allowlist: ['a', 'b'] } }],
    [{ PATRONI_RESTAPI_ALLOWLIST: '[a, b]' }, { restapi: { allowlist: ['a', 'b'] } }],
    [{ PATRONI_CTL_INSECURE: 'yes', PATRONI_CTL_USERNAME: 'u' }, { ctl: { insecure: true, authentication: { username: 'u' } } }],
    [
      { PATRONI_POSTGRESQL_BIN_DIR: '/b', PATRONI_POSTGRESQL_BIN_PG_CTL: 'c' },
      { postgresql: { bin_dir: '/b', bin_name: { pg_ctl: 'c' } } },
    ],
    [
      { PATRONI_SUPERUSER_USERNAME: 'u', PATRONI_REWIND_SSLMODE: 'require' },
      { postgresql: { authentication: { superuser: { username: 'u' }, rewind: { sslmode: 'require' } } } },
    ],
    [{ PATRONI_ETCD3_HOSTS: 'a:1,b:2', PATRONI_ETCD3_SRV_SUFFIX: 's' }, { etcd3: { hosts: ['a:1', 'b:2'], srv_suffix: 's' } }],
    [
      { PATRONI_ETCD3_HOST: 'h', PATRONI_ETCD3_PORT: '5', PATRONI_ETCD3_USE_PROXIES: 'off' },
      { etcd3: { host: 'h', port: 5, use_proxies: false } },
    ],
    [{ PATRONI_ETCD_HOST: 'h', PATRONI_ETCD_PASSWORD: 'p', PATRONI_ETCD3_PASSWORD: 'q' }, { etcd: { host: 'h', password: 'p' } }],
    [{ PATRONI_FOO_HOST: 'h' }, { foo: { host: 'h' } }],
    [{ PATRONI_KUBERNETES_LABELS: 'a: b' }, { kubernetes: { labels: { a: 'b' } } }],
    [{ PATRONI_CITUS_GROUP: '0', PATRONI_CITUS_DATABASE: 'd' }, { citus: { group: 0, database: 'd' } }],
    [{ PATRONI_NAME: '', PATRONI_ETCD3_HOSTS: '' }, {}],
    [{ PATRONI_CONFIGURATION: 'name: x', PATRONICTL_CONFIG_FILE: 'x', NAME: 'x', PATRONI_POSTGRESQL_BIN_IS_READY: 'x' }, {}],
  ])('%j', (env, expected) => {
    const { raw, consumed } = readEnvironment(env);
    expect(raw).toEqual(expected);
    expect(Object.keys(env)).toEqual(expect.arrayContaining([...consumed]));
  });

  it('names every variable it understood, even empty ones', () => {
    const env = { PATRONI_NAME: '', PATRONI_SUPERUSER_PASSWORD: 'x', PATRONI_UNHEARD: 'y', PATRONI_ETCD_USERNAME: 'z', HOME: '/' };
    expect(readEnvironment(env).consumed).toEqual(['PATRONI_NAME', 'PATRONI_SUPERUSER_PASSWORD']);
  });

  it.each([
    [{ PATRONI_LOG_MODE: 'rw' }, 'PATRONI_LOG_MODE: log.mode: not a whole number; write a whole number'],
    [{ PATRONI_CTL_INSECURE: 'perhaps' }, "PATRONI_CTL_INSECURE: ctl.insecure: neither true nor false; write 'true' or 'false'"],
    [{ PATRONI_ETCD3_HOSTS: '[a' }, "PATRONI_ETCD3_HOSTS: etcd3.hosts: not a list; write 'a,b' or a YAML list such as '[a, b]'"],
    [{ PATRONI_LOG_LOGGERS: '{a' }, "PATRONI_LOG_LOGGERS: log.loggers: not a mapping; write a YAML mapping such as '{a: b}'"],
    [
      { PATRONI_REPLICATION_PASWORD: 'x' },
      "PATRONI_REPLICATION_PASWORD: unknown variable 'PATRONI_REPLICATION_PASWORD'; did you mean 'PATRONI_REPLICATION_PASSWORD'?",
    ],
  ])('%j is told', (env: Record<string, string>, expected) => {
    expect(readEnvironment(env).problems.map(formatProblem)).toEqual([expected]);
  });

  it('never throws', () => {
    const name = fc.constantFrom(
      'PATRONI_LOG_LOGGERS',
      'PATRONI_ETCD3_HOSTS',
      'PATRONI_A_SET_ACLS',
      'PATRONI___PROTO___HOST',
      'PATRONI__HOST',
      'PATRONI_LOG_FORMAT',
      'PATRONI_X',
    );
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), (env) => {
        expect(typeof readEnvironment(env).raw).toBe('object');
      }),
    );
  });
});
