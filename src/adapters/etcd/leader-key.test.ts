import { expect, test } from 'vitest';
import type { Gateway } from './gateway.ts';
import { encodeText } from './keys.ts';
import { attachLeader, releaseLeader } from './leader-key.ts';
import { Progress } from './progress.ts';
import { Transactions } from './txn.ts';

/** Answers one after the other; keeps what was asked. */
function scripted(answers: ReadonlyArray<Record<string, unknown>>) {
  const bodies: Array<{ compare: ReadonlyArray<Record<string, string>> }> = [];
  const gateway = {
    guard: { revision: 7n },
    countdown: () => () => 100,
    call: async ({ body }: { body: (typeof bodies)[number] }) => {
      bodies.push(body);
      return { answer: { header: { revision: '9' }, ...answers[bodies.length - 1] }, maybeApplied: false };
    },
  } as unknown as Gateway;
  return { bodies, gateway, keys: new Transactions(gateway, new Progress(), '/service/sim/') };
}

const held = (name: string, revision: string, lease = '1') => ({
  responses: [
    { response_range: { kvs: [{ key: '', value: encodeText(name), mod_revision: revision, create_revision: revision, lease }] } },
  ],
});
const absent = { responses: [{ response_range: {} }] };

test('a key is moved to another lease only in the version of the request: a late copy does not move it back', async () => {
  const { bodies, gateway, keys } = scripted([held('a', '8'), { succeeded: true }]);
  expect(await attachLeader(gateway, keys, 'a', '2', { timeoutMs: 100 })).toBe(true);
  expect(bodies.map(({ compare }) => compare)).toEqual(
    ['8', '10'].map((mod_revision) => [
      expect.objectContaining({ target: 'VALUE', value: encodeText('a') }),
      expect.objectContaining({ target: 'MOD', result: 'LESS', mod_revision }),
    ]),
  );
});

test('a key that is on the lease already, absent, another member’s, or changed all the time is not moved', async () => {
  const attach = (answers: ReadonlyArray<Record<string, unknown>>) => {
    const { bodies, gateway, keys } = scripted(answers);
    return { bodies, done: attachLeader(gateway, keys, 'a', '2', { timeoutMs: 100 }) };
  };
  expect(await attach([held('a', '8', '2')]).done).toBe(true);
  expect(await attach([held('b', '8', '2')]).done).toBe(false);
  const created = attach([absent, { succeeded: true }]);
  expect(await created.done).toBe(true);
  expect(created.bodies[1]?.compare[0]).toMatchObject({ target: 'CREATE', create_revision: '0' });
  await expect(attach([held('a', '8'), held('a', '10'), held('a', '12')]).done).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
});

test('a release is bound to the version of the key at the time of the request', async () => {
  const { bodies, gateway, keys } = scripted([{ succeeded: true }]);
  expect(await releaseLeader(gateway, keys, 'a', { timeoutMs: 100 })).toBe(true);
  expect(bodies[0]?.compare).toEqual([
    expect.objectContaining({ target: 'VALUE', value: encodeText('a') }),
    expect.objectContaining({ target: 'MOD', result: 'LESS', mod_revision: '8' }),
  ]);
});

test('a key of ours that an unanswered request has put is released as well', async () => {
  const { bodies, gateway, keys } = scripted([held('a', '8'), { succeeded: true }]);
  expect(await releaseLeader(gateway, keys, 'a', { timeoutMs: 100 })).toBe(true);
  expect(bodies[1]?.compare[1]).toMatchObject({ target: 'MOD', mod_revision: '10' });
});

test('another member’s key is left alone, and one that changes all the time is given up', async () => {
  const other = scripted([held('b', '8')]);
  expect(await releaseLeader(other.gateway, other.keys, 'a', { timeoutMs: 100 })).toBe(false);
  const restless = scripted([held('a', '8'), held('a', '10'), held('a', '12')]);
  await expect(releaseLeader(restless.gateway, restless.keys, 'a', { timeoutMs: 100 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
});
