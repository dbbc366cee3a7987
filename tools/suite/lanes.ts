/**
 * The integration tests in two lanes at once. Most of those with whole clusters are about failures
 * and how soon they are noticed, so they must not wait for the processor. The others try one part
 * against the real thing, or what a cluster does and not how soon.
 */
import { runVitest } from './parts.ts';
import { sumOf, type Tally } from './report.ts';

const FOLDER = 'test/integration';
/** Nothing in them hangs on tenths of a second. */
export const SECOND_LANE = [
  'ctl',
  'data-places',
  'patronictl',
  'etcd',
  'etcd-faults',
  'etcd-secure',
  'guard',
  'guard-hold',
  'interop-newest',
  'interop-standby',
  'interop-swap',
  'launcher',
  'logical-slots',
  'majors',
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
  'replica-copies',
  'restored',
  'router',
  'standby-cluster',
  'templates',
  'tether',
].map((name) => `${FOLDER}/${name}.test.ts`);

/**
 * Behind the first lane where both want the processor, and not so far that their own limits pass.
 */
const BEHIND = ['nice', '-n', '10'];

export async function runIntegration(root: string, extra: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Tally> {
  if (extra.length > 0) return runVitest(root, 'integration', extra, { env });
  const second = runVitest(root, 'integration', SECOND_LANE, { launcher: BEHIND, held: true, env });
  const others = SECOND_LANE.flatMap((file) => ['--exclude', file]);
  const first = await runVitest(root, 'integration', others, { env });
  return sumOf([first, await second]);
}
