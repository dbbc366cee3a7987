import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { checkOverrides, ctlFile, etcdArguments, nodeConfig, nodeFile, routerFile } from './node-config.ts';
import { type DemoSettings, planDemo } from './plan.ts';

const settings: DemoSettings = {
  directory: '/demo',
  nodes: 3,
  basePort: 5000,
  overrides: {},
  stats: { username: 'admin', password: 'admin' },
};
const plan = planDemo(settings);

describe('the files of a demo', () => {
  it('give each node a normal Patroni file that loses nothing', () => {
    const config = parse(nodeFile(plan, plan.nodes[1]!, settings, '/pg/bin'));
    expect(config).toMatchObject({
      scope: 'postgres-cluster',
      name: 'patroni2',
      etcd3: { hosts: ['127.0.0.1:12379', '127.0.0.1:12381', '127.0.0.1:12383'] },
      restapi: { listen: '127.0.0.1:8009', connect_address: '127.0.0.1:8009' },
      ctl: { haproxy_url: 'http://127.0.0.1:7000/stats;csv' },
      bootstrap: { dcs: { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' } },
      postgresql: {
        listen: '127.0.0.1:5434',
        data_dir: '/demo/patroni2/data',
        bin_dir: '/pg/bin',
        authentication: { superuser: { username: 'postgres', password: 'postgres' } },
      },
    });
    expect(config.bootstrap.initdb).toContain('data-checksums');
    expect(config.postgresql.pg_hba.every((line: string) => line.endsWith('scram-sha-256'))).toBe(true);
  });

  it('take what --config says, key by key', () => {
    const overrides = { bootstrap: { dcs: { ttl: 30 } }, postgresql: { parameters: { work_mem: '8MB' } } };
    const config = nodeConfig(plan, plan.nodes[0]!, { ...settings, overrides }, '/pg/bin');
    expect(config).toMatchObject({
      bootstrap: { dcs: { ttl: 30, loop_wait: 2 } },
      postgresql: { parameters: { work_mem: '8MB', shared_buffers: '64MB' } },
    });
  });

  it('refuse settings that the demo decides itself', () => {
    expect(() => checkOverrides({ postgresql: { listen: '0.0.0.0:5432' } })).toThrow(/postgresql\.listen cannot be set/);
    expect(() => checkOverrides({ name: 'x' })).toThrow(/name cannot be set/);
    expect(() => checkOverrides({ tags: { nofailover: true } })).not.toThrow();
  });

  it('distinguish etcd members and keep them on loopback', () => {
    const lines = plan.etcd.map((member) => etcdArguments(plan, member));
    expect(new Set(lines.map((line) => line.find((argument) => argument.startsWith('--initial-cluster='))))).toHaveProperty('size', 1);
    for (const argument of lines.flat().filter((one) => one.includes('://'))) expect(argument).not.toMatch(/:\/\/(?!127\.0\.0\.1:)/);
  });

  it('tell regentctl where HAProxy is, whatever the ports', () => {
    const shifted = planDemo({ ...settings, basePort: 15_000 });
    const ctl = { haproxy_url: 'http://127.0.0.1:17000/stats;csv' };
    expect(parse(ctlFile(shifted))).toMatchObject({ ctl });
    expect(nodeConfig(shifted, shifted.nodes[0]!, settings, '/pg/bin')).toMatchObject({ ctl });
  });

  it('hold no password where none is needed', () => {
    expect(ctlFile(plan) + routerFile(plan)).not.toMatch(/password/);
    expect(parse(routerFile(plan)).router.haproxy_socket).toBe('/demo/run/haproxy.sock');
  });
});
