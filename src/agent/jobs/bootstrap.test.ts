/**
 * In which order a new cluster becomes one, and what is left of it when that fails at each of its
 * steps.
 */
import { expect, it } from 'vitest';
import { authority, settings, view } from '../../../test/support/build.ts';
import { codeOf } from '../../support/errors.ts';
import { type BootstrapPorts, bootstrap } from './bootstrap.ts';

const ID = '7301234567890123456';
const REVISION = '17';

/**
 * `fail`: these calls fail. `initialize`: what stands there after initdb.
 * `published`: what etcd says of the publication. `cleared`: what it says of undoing what was
 * written.
 */
async function run({
  fail = [],
  initialize = '',
  published = REVISION,
  cleared = true,
  leads = true,
  leaseId = 'mark',
}: {
  fail?: readonly string[];
  initialize?: string | null;
  published?: string | null;
  cleared?: boolean;
  leads?: boolean;
  leaseId?: string | null;
} = {}) {
  const calls: string[] = [];
  const call =
    <T>(name: string, value: T) =>
    async (): Promise<T> => {
      calls.push(name);
      if (fail.includes(name)) throw new Error(`${name} failed`);
      return value;
    };
  const ports: BootstrapPorts = {
    settings: { current: () => settings('a'), local: () => settings('a').local, bootstrapConfig: () => ({}) },
    log: { info() {}, warning() {} },
    pg: {
      stop: async () => {},
      bootstrap: call('bootstrap', { systemIdentifier: ID }),
      markPublished: call('unmark', undefined),
      removeDataDirectory: call('remove', undefined),
    },
    dcs: {
      read: call('read', { ...view(), initialize }),
      publishInitialize: async (_id, over) => call(`publish over ${over}`, published)(),
      clearInitialize: async (own) => call(`clear ${'leaseId' in own ? own.leaseId : own.modRevision}`, cleared)(),
      releaseLeader: async () => true,
      acquireLeader: call('key', leads),
      createConfig: call('config', true),
    },
    authority: {
      get now() {
        return authority({ leaseId: calls.length > 0 ? 'later' : leaseId });
      },
    },
    lease: { carry: (send) => send('later') },
    fence: { arm: call('guard', undefined) },
    configApplied() {},
  };
  await bootstrap(ports, new AbortController().signal).then(
    () => calls.push('done'),
    (error: unknown) => {
      const code = codeOf(error);
      if (code !== null && leads) calls.push(code);
    },
  );
  return calls;
}

const PUBLISH = 'publish over mark';

it('is published over its own mark, guarded and unmarked, before it leads', async () => {
  expect(await run()).toEqual(['bootstrap', 'read', PUBLISH, 'guard', 'unmark', 'key', 'config', 'done']);
});

it('is removed at once when half made, together with the right to make one', async () => {
  expect(await run({ fail: ['bootstrap'] })).toEqual(['bootstrap', 'remove', 'clear mark']);
});

it('stays when whole and perhaps published; only its own mark goes from etcd', async () => {
  expect(await run({ fail: [PUBLISH] })).toEqual(['bootstrap', 'read', PUBLISH, 'clear mark']);
});

it.each([true, false])(
  'stays where the mark was lost, and the rounds clone over it; another node’s mark stays too (cleared: %s)',
  async (cleared) => {
    expect(await run({ published: null, cleared })).toEqual(['bootstrap', 'read', PUBLISH, 'clear mark', 'BOOTSTRAP_LOST']);
  },
);

it.each([null, '1111111111111111111'])('is not published where the mark is seen to be gone (%s)', async (initialize) => {
  expect(await run({ initialize, cleared: false })).toEqual(['bootstrap', 'read', 'clear mark', 'BOOTSTRAP_LOST']);
});

it('does not begin without a lease for the mark', async () => {
  expect(await run({ leaseId: null })).toEqual(['BOOTSTRAP_LOST']);
});

it('is removed when published without a guard, once etcd no longer has it', async () => {
  const undone = ['bootstrap', 'read', PUBLISH, 'guard', `clear ${REVISION}`];
  expect(await run({ fail: ['guard'] })).toEqual([...undone, 'remove']);
  expect(await run({ fail: ['guard'], cleared: false }), 'another has taken it away').toEqual([...undone, 'remove']);
  expect(await run({ fail: ['guard', `clear ${REVISION}`] })).toEqual(undone);
});

it('is never removed once its mark was about to be taken off', async () => {
  for (const calls of [await run({ fail: ['unmark'] }), await run({ fail: ['key'] }), await run({ leads: false })]) {
    expect(calls).not.toContain('remove');
    expect(calls.join()).not.toContain('clear');
    expect(calls).not.toContain('done');
  }
  expect(await run({ fail: ['unmark'] })).not.toContain('key');
});
