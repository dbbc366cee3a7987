import { expect, test } from 'vitest';
import type { Gateway } from './gateway.ts';
import { encodeText } from './keys.ts';
import { releaseLeader } from './leader-key.ts';
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

const held = (name: string, revision: string) => ({
  responses: [{ response_range: { kvs: [{ key: '', value: encodeText(name), mod_revision: revision, create_revision: revision }] } }],
});

test('a release is bound to the key as it was when the release was asked for', async () => {
  const { bodies, gateway, keys } = scripted([{ succeeded: true }]);
  expect(await releaseLeader(gateway, keys, 'a', { timeoutMs: 100 })).toBe(true);
  expect(bodies[0]?.compare).toEqual([
    expect.objectContaining({ target: 'VALUE', value: encodeText('a') }),
    expect.objectContaining({ target: 'MOD', result: 'LESS', mod_revision: '8' }),
  ]);
});

test('a key of ours that a request without an answer has put is released as well', async () => {
  const { bodies, gateway, keys } = scripted([held('a', '8'), { succeeded: true }]);
  expect(await releaseLeader(gateway, keys, 'a', { timeoutMs: 100 })).toBe(true);
  expect(bodies[1]?.compare[1]).toMatchObject({ target: 'MOD', mod_revision: '10' });
});

test('another’s key is left alone, and one that changes all the time is given up', async () => {
  const other = scripted([held('b', '8')]);
  expect(await releaseLeader(other.gateway, other.keys, 'a', { timeoutMs: 100 })).toBe(false);
  const restless = scripted([held('a', '8'), held('a', '10'), held('a', '12')]);
  await expect(releaseLeader(restless.gateway, restless.keys, 'a', { timeoutMs: 100 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
});
