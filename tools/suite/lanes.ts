/**
 * The integration tests in two lanes at once. Those that start whole clusters mostly wait, and must
 * not wait for the processor: they come first. The others try one part against the real thing.
 */
import { runVitest, type Tally } from './parts.ts';

const FOLDER = 'test/integration';
/** Tests of one part: they start no cluster. */
export const PARTS_ALONE = [
  'ctl',
  'patronictl',
  'etcd',
  'etcd-faults',
  'etcd-secure',
  'guard',
  'guard-hold',
  'launcher',
  'majors-words',
  'postgres',
  'postgres-access-files',
  'postgres-bootstrap',
  'postgres-clients-out',
  'postgres-config',
  'postgres-copies',
  'postgres-locked-out',
  'postgres-refused-settings',
  'postgres-session',
  'postgres-shutdown-wait',
  'postgres-twins',
  'postgres-unreaped',
  'router',
  'tether',
].map((name) => `${FOLDER}/${name}.test.ts`);

/** Behind the clusters where both want the processor, and not so far that their own limits pass. */
const BEHIND = ['nice', '-n', '10'];

export async function runIntegration(root: string, extra: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Tally> {
  if (extra.length > 0) return runVitest(root, 'integration', extra, { env });
  const alone = runVitest(root, 'integration', PARTS_ALONE, { launcher: BEHIND, held: true, env });
  const others = PARTS_ALONE.flatMap((file) => ['--exclude', file]);
  const clusters = await runVitest(root, 'integration', others, { env });
  return sum(clusters, await alone);
}

function sum(one: Tally, other: Tally): Tally {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
    failures: [...(one.failures ?? []), ...(other.failures ?? [])],
  };
}
