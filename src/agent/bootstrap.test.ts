/** In which order a new cluster becomes one, and what is left of it when that fails at each of its steps. */
import { expect, it } from 'vitest';
import { type JobDeps, runJob } from './jobs.ts';

const ID = '7301234567890123456';

/** `fail`: these calls fail. `reads`: what `initialize` is at each reading, the last one again and again. */
async function run({
  fail = [],
  reads = ['', ID],
  leads = true,
}: {
  fail?: readonly string[];
  reads?: readonly string[];
  leads?: boolean;
} = {}) {
  const calls: string[] = [];
  let read = 0;
  const call =
    <T>(name: string, value: T) =>
    async (): Promise<T> => {
      calls.push(name);
      if (fail.includes(name)) throw new Error(`${name} failed`);
      return value;
    };
  const deps = {
    parts: {
      settings: {
        current: () => ({ dynamic: { retryTimeoutSeconds: 10 } }),
        local: () => ({ name: 'a' }),
        bootstrapConfig: () => ({}),
      },
      log: { warning() {}, info() {} },
      pg: {
        stop: async () => {},
        bootstrap: call('bootstrap', { systemIdentifier: ID }),
        markPublished: call('unmark', undefined),
        removeDataDirectory: call('remove', undefined),
      },
      dcs: {
        read: async () => {
          const initialize = reads[Math.min(read, reads.length - 1)];
          read += 1;
          return call('read', { initialize })();
        },
        writeInitialize: call('publish', true),
        clearInitialize: call('clear', undefined),
        releaseLeader: async () => true,
        acquireLeader: call('key', leads),
        writeConfig: async () => '1',
      },
    },
    lease: { carry: (send: (leaseId: string) => Promise<boolean>) => send('lease') },
    fence: { arm: call('guard', undefined) },
    configApplied() {},
  } as unknown as JobDeps;
  await runJob(deps, { kind: 'bootstrap' }, new AbortController().signal).then(
    () => calls.push('done'),
    () => {},
  );
  return calls;
}

it('is published, guarded, unmarked and only then led', async () => {
  expect(await run()).toEqual(['bootstrap', 'read', 'publish', 'guard', 'unmark', 'key', 'done']);
});

it('half made, it goes at once, and with it the right to make one', async () => {
  expect(await run({ fail: ['bootstrap'] })).toEqual(['bootstrap', 'remove', 'read', 'clear']);
});

it('whole and perhaps published, it stays', async () => {
  expect(await run({ fail: ['read'] })).not.toContain('remove');
  for (const after of ['', ID, '1111111111111111111']) {
    const calls = await run({ fail: ['publish'], reads: ['', after] });
    expect(calls).not.toContain('remove');
    expect(calls.includes('clear')).toBe(after === '');
  }
});

it('stays where another was quicker: the rounds clone over it', async () => {
  expect(await run({ reads: ['1111111111111111111'] })).toEqual(['bootstrap', 'read', 'read']);
});

it('published, without a guard, it goes once etcd does not have it any more', async () => {
  expect(await run({ fail: ['guard'] })).toEqual(['bootstrap', 'read', 'publish', 'guard', 'read', 'clear', 'remove']);
  expect(await run({ fail: ['guard', 'clear'] })).not.toContain('remove');
});

it('never goes once its mark was to be taken off', async () => {
  for (const calls of [await run({ fail: ['unmark'] }), await run({ fail: ['key'] }), await run({ leads: false })]) {
    expect(calls).not.toContain('remove');
    expect(calls).not.toContain('clear');
    expect(calls).not.toContain('done');
  }
  expect(await run({ fail: ['unmark'] })).not.toContain('key');
});
