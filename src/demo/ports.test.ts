import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planDemo, portsOf } from './plan.ts';
import { ephemeralPorts, ephemeralWarning } from './ports.ts';

const portsAt = (basePort: number) =>
  portsOf(planDemo({ directory: '/demo', nodes: 3, basePort, overrides: {}, stats: { username: 'a', password: 'a' } })).map(
    ({ port }) => port,
  );

describe('ports that an outgoing connection may hold', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'regent-ports-'));
    writeFileSync(join(directory, 'ip_local_port_range'), '32768\t60999\n');
    writeFileSync(join(directory, 'ip_local_reserved_ports'), '\n');
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const warning = (basePort: number) => ephemeralWarning(portsAt(basePort), basePort, ephemeralPorts(directory));

  it('are reported before anything is started, with a base that avoids them', () => {
    expect(warning(5000)).toBeNull();
    expect(warning(25_383)).toBeNull();
    expect(warning(25_384)).toMatch(
      /^warning: 1 of the demo's 15 ports \(32768\) is among those that the kernel gives to outgoing connections \(32768 to 60999\)\..*; --base-port 25383 or lower avoids it\.$/,
    );
    expect(warning(40_000)).toMatch(/^warning: 15 of the demo's 15 ports \(40000, 40001, 42000, \.\.\.\)/);
  });

  it('are no trouble where the kernel leaves them alone', () => {
    writeFileSync(join(directory, 'ip_local_reserved_ports'), '8080,32768-32769\n');
    expect(warning(25_384)).toBeNull();
    expect(warning(25_386)).toMatch(/^warning: 1 of .* \(32770\)/);
  });

  it('with a range that leaves no room below it: another way', () => {
    writeFileSync(join(directory, 'ip_local_port_range'), '1024 65535\n');
    expect(warning(5000)).toContain('list them in /proc/sys/net/ipv4/ip_local_reserved_ports to avoid it.');
  });

  it('are not guessed where the system does not tell', () => {
    expect(ephemeralWarning(portsAt(40_000), 40_000, ephemeralPorts('/nonexistent'))).toBeNull();
  });
});
