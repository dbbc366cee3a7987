import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RegentError } from '../support/errors.ts';
import { checkSettings, type DemoSettings, NODES_MAX, planDemo, portsOf } from './plan.ts';

const settings = (overlay: Partial<DemoSettings> = {}): DemoSettings => ({
  directory: '/demo',
  nodes: 3,
  basePort: 5000,
  overrides: {},
  stats: { username: 'admin', password: 'admin' },
  ...overlay,
});

describe('planDemo', () => {
  it('uses the tutorial’s ports and names by default, and none of a system’s own services', () => {
    const plan = planDemo(settings());
    expect(plan.haproxy).toMatchObject({ writePort: 5000, readPort: 5001, statsPort: 7000 });
    expect(plan.nodes.map((node) => [node.name, node.restPort, node.postgresPort])).toEqual([
      ['patroni1', 8008, 5433],
      ['patroni2', 8009, 5434],
      ['patroni3', 8010, 5435],
    ]);
    expect(plan.etcd.map((member) => member.name)).toEqual(['etcd1', 'etcd2', 'etcd3']);
    const ports = portsOf(planDemo(settings({ nodes: NODES_MAX }))).map(({ port }) => port);
    for (const taken of [5432, 2379, 2380]) expect(ports).not.toContain(taken);
  });

  it('never gives one port to two, and no port that does not exist, whatever the settings', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: NODES_MAX }), fc.integer({ min: 1024, max: 65535 }), (nodes, basePort) => {
        const asked = settings({ nodes, basePort });
        try {
          checkSettings(asked);
        } catch (error) {
          expect(error).toBeInstanceOf(RegentError);
          expect(basePort).toBeGreaterThan(58_000);
          return;
        }
        const ports = portsOf(planDemo(asked)).map(({ port }) => port);
        expect(new Set(ports).size).toBe(ports.length);
        expect(Math.max(...ports)).toBeLessThanOrEqual(65535);
        expect(Math.min(...ports)).toBe(basePort);
      }),
    );
  });

  it.each([
    [{ nodes: 0 }, /--nodes 0/],
    [{ nodes: 10 }, /--nodes 10/],
    [{ basePort: 80 }, /--base-port 80/],
    [{ directory: `/${'x'.repeat(90)}` }, /too long/],
  ])('refuses %j', (overlay, message) => {
    expect(() => checkSettings(settings(overlay))).toThrow(message);
  });
});
