/**
 * An agent reduced to its guard and the tether of PostgreSQL, to be killed. It opens the guard,
 * starts the command if there is one, and arms the guard or tells it to rest. It prints the
 * outcome, and waits. Run as a process of its own (test/integration/tether.test.ts bundles it).
 */
import { spawn } from 'node:child_process';
import { createSystemClock } from '../../../src/adapters/clock/system.ts';
import { createGuard } from '../../../src/adapters/guard/guard.ts';

const ARM_MS = 60_000;

export interface HolderTask {
  readonly dataDir: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly arms: boolean;
  /** What to start under the tether; null: what runs already is taken over. */
  readonly command: readonly string[] | null;
}

export interface HolderReport {
  readonly guardPid: number;
  /** Of what was started. */
  readonly serverPid: number | null;
  readonly isHeld: boolean | null;
}

const { dataDir, owner, arms, command } = JSON.parse(process.argv[2] ?? '') as HolderTask;
const quiet = () => undefined;
const clock = createSystemClock();
const guard = createGuard({
  dataDir,
  clock,
  log: { debug: quiet, info: quiet, warning: quiet, error: quiet, critical: quiet },
  runAs: owner,
});
const order = async () => {
  if (arms) await guard.arm(Math.floor(clock.bootMs() + ARM_MS), { timeoutMs: 10_000 });
  else await guard.disarm({ timeoutMs: 10_000 });
};
guard.onGone(() => void guard.open().then(order).catch(quiet));
await guard.open();
const words = command === null ? [] : await guard.words();
const [program, ...args] = [...words, ...(command ?? [])];
const server = program === undefined ? null : spawn(program, args, { ...owner, cwd: '/', detached: true, stdio: 'ignore' });
const isHeld = server?.pid === undefined ? null : await guard.hold(server.pid);
await order();
const report: HolderReport = { guardPid: guard.pid()!, serverPid: server?.pid ?? null, isHeld };
process.stdout.write(`${JSON.stringify(report)}\n`);
