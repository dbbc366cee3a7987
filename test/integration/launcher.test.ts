/**
 * `regent` and `regentctl` as files to run. A checkout of a few lines replaces ours, so that its
 * sources may be changed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { runCommand } from '../../src/support/exec.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** Any user who is not the owner. */
const NOBODY = 65534;

let tree: string;

function writeMain(text: string): void {
  writeFileSync(join(tree, 'src', 'main.ts'), `process.stdout.write(${JSON.stringify(`${text} `)} + process.argv.slice(2).join(' '));\n`);
}

const run = (
  file = join(tree, 'regent'),
  args: readonly string[] = [],
  options: { uid?: number; gid?: number; env?: Record<string, string> } = {},
) => runCommand(file, args, { timeoutMs: 90_000, cwd: '/', ...options });

describe('the launcher', () => {
  beforeEach(() => {
    tree = mkdtempSync(join(tmpdir(), 'regent-launcher-'));
    chmodSync(tree, 0o755);
    for (const folder of ['src/adapters/service', 'tools', 'node_modules']) mkdirSync(join(tree, folder), { mode: 0o755, recursive: true });
    for (const file of [
      'regent',
      'regentctl',
      'package.json',
      'package-lock.json',
      'tools/launch.sh',
      'tools/prepare.mjs',
      'tools/build.mjs',
      'tools/version.mjs',
      'src/adapters/service/launch.pl',
    ]) {
      copyFileSync(join(ROOT, file), join(tree, file));
    }
    for (const name of ['esbuild', '@esbuild']) symlinkSync(join(ROOT, 'node_modules', name), join(tree, 'node_modules', name));
    copyFileSync(join(tree, 'package-lock.json'), join(tree, 'node_modules', '.regent-package-lock.json'));
    writeMain('first');
  });

  afterEach(() => rmSync(tree, { recursive: true, force: true }));

  it('builds when sources are newer, and only then', async () => {
    expect((await run(undefined, ['a', 'b c'])).stdout).toBe('first a b c');
    const built = statSync(join(tree, 'dist', 'stamp')).ctimeMs;
    expect((await run()).stdout).toBe('first ');
    expect(statSync(join(tree, 'dist', 'stamp')).ctimeMs).toBe(built);
    writeMain('second');
    expect((await run()).stdout).toBe('second ');
    expect(statSync(join(tree, 'dist', 'stamp')).ctimeMs).not.toBe(built);
  });

  it('tells its sources: plain files, a commit, or a commit with changes on top', async () => {
    const git = async (...words: readonly string[]) => {
      const identity = ['-c', 'user.name=x', '-c', 'user.email=x@x', '-c', 'init.defaultBranch=main'];
      const { code, stderr } = await runCommand('git', [...identity, ...words], { timeoutMs: 90_000, cwd: tree });
      expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
    };
    const writeVersion = (comment: string) =>
      writeFileSync(join(tree, 'src', 'main.ts'), `process.stdout.write(__REGENT_BUILD__); // ${comment}\n`);
    const told = async () => (await run()).stdout;
    writeVersion('one');
    const one = await told();
    expect(one).toMatch(/^src\.[0-9a-f]{8}$/);
    // As in a worktree, whose repository is elsewhere and gone.
    writeFileSync(join(tree, '.git'), 'gitdir: /nowhere\n');
    writeVersion('two');
    const two = await told();
    rmSync(join(tree, '.git'));
    expect(two).toMatch(/^src\.[0-9a-f]{8}$/);
    expect(two).not.toBe(one);
    await git('init', '--quiet');
    await git('add', 'src', 'tools', 'package.json', 'package-lock.json');
    await git('commit', '--quiet', '--message', 'one');
    expect(await told()).toMatch(/^1\.g[0-9a-f]{10}$/);
    writeVersion('three');
    expect(await told()).toMatch(/^1\.g[0-9a-f]{10}\.dirty\.[0-9a-f]{8}$/);
    await git('commit', '--quiet', '--all', '--message', 'two');
    expect(await told()).toMatch(/^2\.g[0-9a-f]{10}$/);
  });

  it('installs nothing where all packages of the lock file are there, and never into a directory that is only linked', async () => {
    const lockWith = (version: string) =>
      writeFileSync(join(tree, 'package-lock.json'), JSON.stringify({ packages: { '': {}, 'node_modules/esbuild': { version } } }));
    const { version } = JSON.parse(readFileSync(join(tree, 'node_modules/esbuild/package.json'), 'utf8'));
    lockWith(version);
    expect(await run()).toMatchObject({ stdout: 'first ', stderr: '' });
    renameSync(join(tree, 'node_modules'), join(tree, 'shared'));
    symlinkSync(join(tree, 'shared'), join(tree, 'node_modules'));
    lockWith('0.0.1');
    writeMain('second');
    const refused = await run();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('node_modules is a link');
    expect(existsSync(join(tree, 'shared/esbuild/package.json'))).toBe(true);
  });

  it('works through a chain of links', async () => {
    symlinkSync('regent', join(tree, 'near'));
    symlinkSync(join(tree, 'near'), join(tree, 'src', 'far'));
    expect((await run(join(tree, 'src', 'far'), ['x'])).stdout).toBe('first x');
  });

  it('tells the program when it is called patroni, and forgets what it was told itself', async () => {
    writeFileSync(join(tree, 'src', 'main.ts'), 'process.stdout.write(String(process.env.REGENT_PROGRAM));\n');
    symlinkSync('regent', join(tree, 'patroni'));
    expect((await run(join(tree, 'patroni'))).stdout).toBe('patroni');
    expect((await run(undefined, [], { env: { REGENT_PROGRAM: 'patroni' } })).stdout).toBe('undefined');
  });

  it('gives every one of many starts at once a whole program', async () => {
    const results = await Promise.all(Array.from({ length: 5 }, (_, index) => run(undefined, [String(index)])));
    expect(results.map((result) => result.stdout)).toEqual(['first 0', 'first 1', 'first 2', 'first 3', 'first 4']);
  });

  it.runIf(process.getuid?.() === 0)('serves a user who may not write with the bundle there is', async () => {
    const nobody = { uid: NOBODY, gid: NOBODY };
    const without = await run(undefined, [], nobody);
    expect(without.code).toBe(1);
    expect(without.stderr).toContain('there is no bundle');
    expect((await run()).stdout).toBe('first ');
    writeMain('second');
    expect((await run(undefined, [], nobody)).stdout).toBe('first ');
    // The owner of a checkout keeps it, even when root was the first to build.
    chownSync(tree, NOBODY, NOBODY);
    expect((await run()).stdout).toBe('second ');
    expect(statSync(join(tree, 'dist', 'stamp')).uid).toBe(NOBODY);
  });

  it('shows a failed build, keeps the old bundle whole, and counts it as a failed test', async () => {
    await run();
    const before = readFileSync(join(tree, 'dist', 'regent.js'), 'utf8');
    appendFileSync(join(tree, 'src', 'main.ts'), 'const = 1;\n');
    const broken = await run();
    expect(broken.code).toBe(1);
    expect(broken.stderr).toContain('src/main.ts:2');
    expect(broken.stderr).toContain('the build failed');
    expect(readFileSync(join(tree, 'dist', 'regent.js'), 'utf8')).toBe(before);
    expect((await run(undefined, ['test'])).stdout).toBe('0 passed, 1 failed\n');
  });

  it('names a Node that is too old', async () => {
    const old = join(tree, 'old-node');
    // Says what node 18 would, without needing one: the check reads process.versions.
    writeFileSync(
      old,
      `#!/bin/sh\nexec '${process.execPath}' --import 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"18.19.0"})' "$@"\n`,
    );
    chmodSync(old, 0o755);
    const result = await runCommand('sh', ['-c', `REGENT_NODE='${old}' '${tree}/regent' version`], { timeoutMs: 90_000 });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/Node 18\.19\.0 .*too old: 20\.19 or newer/);
  });

  it('becomes the program: one process id, and signals reach it', async () => {
    writeFileSync(
      join(tree, 'src', 'main.ts'),
      "process.on('SIGTERM', () => process.exit(7));\nsetInterval(() => {}, 1000);\nprocess.stdout.write(String(process.pid));\n",
    );
    utimesSync(join(tree, 'src', 'main.ts'), new Date(), new Date());
    const child = spawn(join(tree, 'regent'), ['agent'], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [pid] = (await once(child.stdout, 'data')) as [Buffer];
    expect(Number(pid.toString())).toBe(child.pid);
    child.kill('SIGTERM');
    expect((await once(child, 'exit'))[0]).toBe(7);
  });

  it.runIf(process.getuid?.() === 0)('is process 1 beside the program, and passes signals on to it', async () => {
    writeFileSync(
      join(tree, 'src', 'main.ts'),
      "process.on('SIGTERM', () => process.exit(7));\nsetInterval(() => {}, 1000);\nprocess.stdout.write(String(process.ppid));\nprocess.kill(1, 'SIGTERM');\n",
    );
    const { code, stdout } = await run('unshare', ['--pid', '--fork', '--mount-proc', join(tree, 'regent'), 'agent']);
    expect([code, stdout]).toEqual([7, '1']);
  });
});

describe('the bundle of an image', () => {
  let context: string;
  beforeEach(() => {
    context = mkdtempSync(join(tmpdir(), 'regent-image-'));
  });
  afterEach(() => {
    rmSync(context, { recursive: true, force: true });
  });

  it('is built from what the Dockerfile copies, and has all commands but those of a checkout', async () => {
    const stage = readFileSync(join(ROOT, 'deploy', 'compose', 'Dockerfile'), 'utf8').split(/^FROM /m)[1] ?? '';
    const copied = [...stage.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files]) => files?.split(' ') ?? []);
    expect(copied).toContain('src');
    for (const file of copied) cpSync(join(ROOT, file), join(context, file), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(context, 'node_modules'));
    const built = await runCommand(process.execPath, [join(context, 'tools', 'build.mjs')], { timeoutMs: 60_000 });
    expect(built, built.stderr).toMatchObject({ code: 0 });
    const help = await runCommand(process.execPath, [join(context, 'dist', 'regent.js'), 'help'], { timeoutMs: 90_000 });
    expect(help.stdout).toMatch(/^ {2}agent /m);
    expect(help.stdout).not.toMatch(/^ {2}sim /m);
  });
});

describe('regentctl', () => {
  it('loads little before it knows the command', async () => {
    await runCommand(join(ROOT, 'regentctl'), ['version'], { timeoutMs: 60_000 });
    const loaded = loadedFrom(join(ROOT, 'dist', 'regentctl.js'));
    expect(loaded.size).toBeGreaterThan(5);
    const bytes = [...loaded].reduce((sum, file) => sum + statSync(file).size, 0);
    // Measured: 79 kB. A library that only some commands need (pg, yaml, zod) is larger by itself.
    expect(bytes).toBeLessThan(120_000);
  });
});

/** The file and all that it imports before it runs. */
function loadedFrom(file: string, loaded = new Set<string>()): Set<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const imports = readFileSync(file, 'utf8').matchAll(/(?:^|[;\n])import\s*(?:[\w$*{}\s,]+from\s*)?"(\.[^"]+)"/g);
  for (const [, path] of imports) loadedFrom(join(dirname(file), path ?? ''), loaded);
  return loaded;
}
