import { expect, it } from 'vitest';
import type { CallSpec, Verdict } from './answers.ts';
import type { RaceResult } from './race.ts';
import { recordingLog } from './testing.ts';
import { type Login, Token } from './token.ts';

const CALL_MS = 1000;
const [OLD, NEW]: Login[] = [
  { username: 'regent', password: 'old' },
  { username: 'regent', password: 'new' },
];
const invalid: Verdict = { kind: 'token', message: 'invalid auth token' };

/** etcd with one user; a change of the password makes its tokens void, as etcd does. */
function etcd(login: Login = OLD!) {
  const log = recordingLog();
  const state = { file: login, takes: login.password, tokens: 0, asked: [] as unknown[] };
  const send = async ({ body }: CallSpec): Promise<RaceResult<Verdict>> => {
    state.asked.push(body['password']);
    const value: Verdict =
      body['password'] === state.takes
        ? { kind: 'ok', answer: { header: { cluster_id: '1' }, token: `t${++state.tokens}` } }
        : { kind: 'refused', message: 'authentication failed', mend: 'Correct them.' };
    return { kind: 'answer', value, endpoint: 'http://a:2379', maybeApplied: false };
  };
  return Object.assign(state, { log, token: new Token(() => state.file, send, log) });
}

it('new credentials in the file are taken, where etcd changed first', async () => {
  const world = etcd();
  await world.token.ensure(CALL_MS);
  world.takes = 'new';
  world.token.drop('t1', invalid);
  await expect(world.token.ensure(CALL_MS)).rejects.toMatchObject({ code: 'DCS_REFUSED' });
  world.file = NEW!;
  await world.token.ensure(CALL_MS);
  expect(world.token.value).toBe('t2');
  expect(world.log.lines).toEqual(['logged in at etcd as regent with the new credentials']);
});

it('where the file changed first, the token from before goes on until etcd takes the new ones', async () => {
  const world = etcd();
  await world.token.ensure(CALL_MS);
  world.file = NEW!;
  for (let i = 0; i < 3; i++) await world.token.ensure(CALL_MS);
  expect(world.token.value).toBe('t1');
  expect(world.asked, 'tried once').toEqual(['old', 'new']);
  expect(world.log.lines).toHaveLength(1);
  expect(world.log.lines.join()).not.toContain('new,');
  world.takes = 'new';
  world.token.drop('t1', invalid);
  await world.token.ensure(CALL_MS);
  expect(world.token.value).toBe('t2');
});

it('and a token that expires meanwhile is renewed with the credentials from before', async () => {
  const world = etcd();
  await world.token.ensure(CALL_MS);
  world.file = NEW!;
  await world.token.ensure(CALL_MS);
  world.token.drop('t1', invalid);
  await world.token.ensure(CALL_MS);
  expect(world.token.value).toBe('t2');
  expect(world.asked).toEqual(['old', 'new', 'new', 'old']);
});

it('credentials that are added or removed count from then on', async () => {
  const world = etcd({ username: null, password: null });
  await world.token.ensure(CALL_MS);
  expect([world.token.value, world.asked]).toEqual([null, []]);
  world.takes = 'old';
  world.file = OLD!;
  await world.token.ensure(CALL_MS);
  expect(world.token.value).toBe('t1');
  world.file = { username: null, password: null };
  await world.token.ensure(CALL_MS);
  expect(world.token.value).toBeNull();
});
