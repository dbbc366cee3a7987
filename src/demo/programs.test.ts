import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installCommand, installPackages } from './install.ts';
import { parseVersion, surveyPrograms } from './programs.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-programs-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function program(path: string, says: string): void {
  const file = join(home, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
  chmodSync(file, 0o755);
}

function postgres(
  major: number,
  version = `${major}.3`,
  tools = ['initdb', 'pg_ctl', 'pg_basebackup', 'pg_rewind', 'pg_controldata'],
): void {
  program(`pg/${major}/bin/postgres`, `postgres (PostgreSQL) ${version}`);
  for (const tool of tools) program(`pg/${major}/bin/${tool}`, '');
}

const survey = () => surveyPrograms({ path: join(home, 'bin'), postgresRoots: [join(home, 'pg')] });

describe('surveyPrograms', () => {
  it('finds the newest supported PostgreSQL and the daemons', async () => {
    postgres(9);
    postgres(13);
    postgres(17);
    postgres(19);
    program('bin/etcd', 'etcd Version: 3.5.16');
    program('bin/haproxy', 'HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/');
    const { found, missing } = await survey();
    expect(missing).toEqual([]);
    expect(found).toMatchObject({
      postgresBin: join(home, 'pg/17/bin'),
      postgresVersion: '17.3',
      etcd: { version: '3.5.16' },
      haproxy: { version: '2.6.12' },
    });
  });

  it('reports programs that are absent, incomplete or too old, and which packages have them', async () => {
    postgres(15, '15.1', ['initdb']);
    program('bin/etcd', 'etcd Version: 3.3.25');
    const { missing } = await survey();
    expect(missing.map(({ what, reason }) => [what, reason])).toEqual([
      ['PostgreSQL', expect.stringMatching(/lacks pg_ctl, pg_basebackup, pg_rewind, pg_controldata/)],
      ['etcd', expect.stringMatching(/is 3\.3\.25, and 3\.4 or newer is needed/)],
      ['HAProxy', 'no haproxy in PATH'],
    ]);
    expect(missing.flatMap(({ debianPackages }) => debianPackages)).toEqual(['postgresql', 'etcd-server', 'etcd-client', 'haproxy']);
  });

  it('does not trust a program that tells no version', async () => {
    program('bin/haproxy', 'hello');
    expect((await survey()).missing.find(({ what }) => what === 'HAProxy')?.reason).toMatch(/did not tell its version: hello/);
  });
});

describe('parseVersion', () => {
  it.each([
    ['postgres (PostgreSQL) 18beta1', /PostgreSQL\) /, '18', [18, 0]],
    ['HA-Proxy version 2.2.9-2+deb11u6 2023', /HA-?Proxy version /, '2.2.9', [2, 2]],
  ])('reads %s', (text, marker, words, version) => {
    expect(parseVersion(text, marker)).toEqual({ text: words, version });
  });
});

describe('installing', () => {
  it('names the exact command', () => {
    expect(installCommand(['etcd-server', 'haproxy'], false)).toBe('sudo apt-get update && sudo apt-get install -y etcd-server haproxy');
    expect(installCommand(['haproxy'], true)).toBe('apt-get update && apt-get install -y haproxy');
  });

  it('installs nothing without root or consent', async () => {
    const terminal = { interactive: false, input: process.stdin, output: process.stdout };
    await expect(installPackages(['haproxy'], ['no haproxy in PATH'], { consent: false, isRoot: false, terminal })).rejects.toMatchObject({
      code: 'PROGRAMS_MISSING',
      message: expect.stringContaining('no haproxy in PATH'),
      mend: expect.stringContaining('haproxy'),
    });
  });
});
