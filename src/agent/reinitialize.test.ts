/** What is removed to be cloned anew goes only while another copy of this cluster is seen. */
import { expect, it } from 'vitest';
import { type JobDeps, runJob } from './jobs.ts';

const ID = '7301234567890123456';

const etcd = async () => ({ initialize: ID, sync: null, leader: null, members: [] });

async function run(
  source: () => Promise<{ systemIdentifier: string; inRecovery?: boolean }>,
  read: () => Promise<unknown> = etcd,
  refusal: string | null = null,
): Promise<readonly string[]> {
  const calls: string[] = [];
  const call = (name: string) => async () => void calls.push(name);
  const deps = {
    parts: {
      clock: { bootMs: () => 0 },
      settings: {
        current: () => ({
          dynamic: { synchronousMode: 'quorum', retryTimeoutSeconds: 10, primaryStartTimeoutSeconds: 60 },
          local: { name: 'a', tags: { nosync: true } },
        }),
      },
      log: { warning() {}, info() {} },
      pg: {
        sourceHistory: source,
        stop: call('stop'),
        checkRemake: async (cluster: string | null) => {
          calls.push('check');
          expect(cluster).toBe(ID);
          if (refusal !== null) throw Object.assign(new Error('in the way'), { code: refusal });
        },
        removeDataDirectory: call('remove'),
        clone: call('clone'),
        start: async () => {
          call('start')();
          return { notWritten: [] };
        },
      },
      dcs: { read },
    },
    fence: { disarm: call('rest') },
    leaving: () => {},
    stopping: () => {},
    configApplied() {},
  } as unknown as JobDeps;
  const job = { kind: 'reinitialize', source: { name: 'b', host: 'b', port: 5432 }, fromLeader: true } as const;
  await runJob(deps, job, new AbortController().signal).catch((error: { code?: string }) => calls.push(error.code ?? String(error)));
  return calls;
}

it('is removed and cloned where the source is of the cluster that etcd knows', async () => {
  expect(await run(async () => ({ systemIdentifier: ID }))).toEqual(['check', 'stop', 'remove', 'clone', 'rest', 'start']);
});

it('stays where the source does not answer', async () => {
  const silent = () => Promise.reject(Object.assign(new Error('no answer'), { code: 'SOURCE_UNREACHABLE' }));
  expect(await run(silent)).toEqual(['SOURCE_UNREACHABLE']);
});

it('stays where the source has the disk of another cluster', async () => {
  expect(await run(async () => ({ systemIdentifier: '1111111111111111111' }))).toEqual(['SOURCE_OTHER_CLUSTER']);
});

it('stays where the source died while etcd kept us waiting', async () => {
  let alive = true;
  let reads = 0;
  const source = async () => {
    if (alive) return { systemIdentifier: ID };
    throw Object.assign(new Error('no answer'), { code: 'SOURCE_UNREACHABLE' });
  };
  const slow = async () => {
    reads += 1;
    // The one after the stop.
    if (reads === 2) alive = false;
    return etcd();
  };
  expect(await run(source, slow)).toEqual(['check', 'stop', 'SOURCE_UNREACHABLE']);
});

it.each([
  ['is cloned from the primary that /sync names', 'b', false, ['check', 'stop', 'remove', 'clone', 'rest', 'start']],
  ['stays where the source only follows that one', 'b', true, ['check', 'stop', 'MEMBER_COUNTED_ON']],
  ['stays where the source is another', 'c', true, ['check', 'stop', 'MEMBER_COUNTED_ON']],
] as const)('while /sync counts on what this member has confirmed, it %s', async (_what, leader, inRecovery, expected) => {
  const counting = async () => ({ ...(await etcd()), sync: { leader, quorum: 1, standbys: ['a', 'c'] } });
  expect(await run(async () => ({ systemIdentifier: ID, inRecovery }), counting)).toEqual(expected);
});

it('neither stops nor removes anything where no copy could be made in its place', async () => {
  expect(await run(async () => ({ systemIdentifier: ID }), etcd, 'DATA_DIR_IN_THE_WAY')).toEqual(['check', 'DATA_DIR_IN_THE_WAY']);
});
