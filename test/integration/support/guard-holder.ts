/**
 * An agent reduced to its guard, to be killed. It opens the guard of argv[2], arms it argv[3] ms
 * ahead, prints the deadline, and waits. Run as a process of its own
 * (test/integration/guard.test.ts bundles it).
 */
import { createSystemClock } from '../../../src/adapters/clock/system.ts';
import { createGuard } from '../../../src/adapters/guard/guard.ts';

const [dataDir = '', aheadMs = '0', uid = '0', gid = '0'] = process.argv.slice(2);
const quiet = () => undefined;
const clock = createSystemClock();
const guard = createGuard({
  dataDir,
  clock,
  log: { debug: quiet, info: quiet, warning: quiet, error: quiet, critical: quiet },
  runAs: { uid: Number(uid), gid: Number(gid) },
});
await guard.open();
const deadline = Math.floor(clock.bootMs() + Number(aheadMs));
await guard.arm(deadline, { timeoutMs: 10_000 });
process.stdout.write(`${JSON.stringify({ deadline, guardPid: guard.pid() })}\n`);
