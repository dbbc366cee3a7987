import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BASE } from '../../test/fixtures/config-files.ts';
import { checkConfig } from './check.ts';

const GOOD = 'test/fixtures/patroni.yml';
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'regent-check-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(argv: string[], env: Record<string, string> = {}) {
  let [out, err] = ['', ''];
  const code = await checkConfig(argv, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env,
  });
  return { code, out, err };
}

describe('regent check-config', () => {
  it('approves of a sound file', async () => {
    expect(await run([GOOD])).toEqual({ code: 0, out: `${GOOD}: ok\n`, err: '' });
  });

  it('exits 0 with warnings, which it prints', async () => {
    const result = await run([GOOD], { PATRONI_CONSUL_HOST: 'x' });
    expect(result).toMatchObject({ code: 0, out: `${GOOD}, environment: ok, 1 warning\n` });
    expect(result.err).toBe(
      "warning: PATRONI_CONSUL_HOST: consul: 'consul' is not supported by this release, ignored; etcd3 is used; remove 'consul'\n",
    );
  });

  it('notes that a member makes no cluster, and tells the line to write', async () => {
    const path = join(dir, 'least.yml');
    writeFileSync(path, BASE);
    const { out } = await run([path]);
    expect(out).toBe(
      `${path}: ok\nnote: this member joins a cluster and makes no new one: its configuration has no section 'bootstrap'; to let it, write 'bootstrap:' and below it, indented, 'method: initdb'\n`,
    );
    writeFileSync(path, `${BASE}bootstrap:\n  method: initdb\n`);
    expect((await run([path])).out).toBe(`${path}: ok\n`);
  });

  it('exits 1 with errors, and prints them all', async () => {
    const path = join(dir, 'bad.yml');
    writeFileSync(path, 'scope: [x]\nname: a/b\n');
    const result = await run([path]);
    expect(result).toMatchObject({ code: 1, out: '' });
    const lines = result.err.trim().split('\n');
    expect(lines).toContain(`error: ${path}:2:7: name: 'a/b' contains a slash; write a word such as 'demo'; slashes separate keys in etcd`);
    expect(lines.at(-1)).toBe(`${lines.length - 1} errors, 0 warnings`);
  });

  it('prints the merged configuration with passwords masked, to be read back', async () => {
    const { code, out } = await run(['--print', GOOD], { PATRONI_NAME: 'on', PATRONI_SUPERUSER_PASSWORD: 'from env' });
    expect(code).toBe(0);
    expect(out).not.toMatch(/secret|from env|0123456/);
    const printed = parse(out, { version: '1.1' });
    expect(printed).toMatchObject({ name: 'on', postgresql: { authentication: { superuser: { password: '********' } } } });
    expect(Object.keys(printed)).toEqual(Object.keys(printed).sort());
  });

  it('prints a JSON schema that knows keys, kinds and defaults', async () => {
    const { code, out } = await run(['--schema']);
    expect(code).toBe(0);
    const { properties } = JSON.parse(out);
    expect(properties.watchdog.properties.safety_margin).toMatchObject({ type: ['integer', 'string'], minimum: -1, default: 5 });
    expect(properties.bootstrap.properties.dcs.properties.ttl).toMatchObject({ default: 30, description: expect.any(String) });
    expect(properties.postgresql.properties.parameters.type).toBe('object');
  });

  it('knows its own usage', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('usage: regent check-config') });
    expect(await run(['--nonsense'])).toMatchObject({ code: 2, out: '', err: expect.stringContaining('usage:') });
    expect(await run(['a', 'b'])).toMatchObject({ code: 2, err: expect.stringContaining('name one file') });
  });
});
