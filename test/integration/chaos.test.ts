/**
 * `regent chaos` as it is used: a minute of random faults, whose seed is printed; and that
 * nothing is left behind, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { commandLines } from './support/command-lines.ts';
import { whyNoMounts } from './support/mounts.ts';
import { whyNoNetwork } from './support/network.ts';

const REGENT = join(fileURLToPath(new URL('../..', import.meta.url)), 'regent');
const MINUTES = 1;
const SMALL_MINUTES = 0.6;
/** The cluster is built, the last fault is outlasted, the rows are compared. */
const BESIDE_MS = 120_000;

const obstacle = whyNoNetwork() ?? whyNoMounts();
if (obstacle !== null) console.log(`chaos is skipped: ${obstacle}`);

const started: ChaosProcess[] = [];
/** One that a test has given up ends itself, and takes along what it has made. */
afterEach(async () => {
  for (const chaos of started.splice(0)) await chaos.end();
}, 120_000);

class ChaosProcess {
  readonly child: ChildProcess;
  text = '';

  constructor(args: readonly string[]) {
    this.child = spawn(REGENT, ['chaos', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    started.push(this);
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (this.text += text));
  }

  /** Once its output has that; throws when it ends before. */
  async said(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      if (this.child.exitCode !== null) throw new Error(`it ended before it said ${pattern}:\n${this.text}`);
      await Promise.race([once(this.child.stdout!, 'data'), once(this.child, 'exit')]);
    }
  }

  async ended(timeoutMs: number): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode;
    const [code] = await once(this.child, 'close', { signal: AbortSignal.timeout(timeoutMs) });
    return code;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGINT');
    await gone;
  }

  get directory(): string {
    return /, in (\S+)/.exec(this.text)![1]!;
  }

  /** Namespaces, mounts, processes, files; empty: nothing is left. */
  leftovers(): string[] {
    const namespaces = existsSync('/run/netns')
      ? readdirSync('/run/netns').filter((name) => name.startsWith(`regent-${this.child.pid}-`))
      : [];
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(this.directory));
    const processes = commandLines(this.directory).map(({ line }) => line);
    return [...namespaces, ...mounts, ...processes, ...(existsSync(this.directory) ? [this.directory] : [])];
  }
}

describe.skipIf(obstacle !== null)('chaos', () => {
  test(
    'a minute of it loses no acknowledged write, and leaves nothing behind',
    async () => {
      const chaos = new ChaosProcess(['--minutes', String(MINUTES)]);
      const code = await chaos.ended(MINUTES * 60_000 + BESIDE_MS);
      console.log(chaos.text);
      expect(code, chaos.text).toBe(0);
      expect(chaos.text.match(/^held /gm)).toHaveLength(4);
      expect(chaos.text).not.toMatch(/^FAILED/m);
      expect(chaos.leftovers()).toEqual([]);
    },
    MINUTES * 60_000 + BESIDE_MS,
  );

  test(
    'small faults cost nobody the lead',
    async () => {
      const chaos = new ChaosProcess(['--minutes', String(SMALL_MINUTES), '--small', '--ttl', '30']);
      const code = await chaos.ended(SMALL_MINUTES * 60_000 + BESIDE_MS);
      console.log(chaos.text);
      expect(code, chaos.text).toBe(0);
      expect(chaos.text).toMatch(/^held {4}nobody lost the lead$/m);
      expect(chaos.leftovers()).toEqual([]);
    },
    SMALL_MINUTES * 60_000 + BESIDE_MS,
  );

  test('stopped while a node is frozen or cut off, it leaves nothing behind', async () => {
    const chaos = new ChaosProcess(['--minutes', '1', '--seed', '3', '--only', 'freeze.node', '--only', 'cut.off']);
    await chaos.said(/^#1 at/m);
    chaos.child.kill('SIGINT');
    expect(await chaos.ended(60_000), chaos.text).toBe(130);
    expect(chaos.leftovers()).toEqual([]);
  });

  test('says what is wrong with its command line', async () => {
    const chaos = new ChaosProcess(['--minutes', '1', '--mode', 'sometimes']);
    expect(await chaos.ended(30_000)).not.toBe(0);
    expect(chaos.text).toMatch(/--mode sometimes.*\n.*quorum, on, off/);
  });
});
