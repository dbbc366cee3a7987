/** Names of synchronous standbys count once the checkpointer has read them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keptLog, realClock } from '../../../test/fixtures/operator-port.ts';
import { settings } from '../../../test/support/build.ts';
import type { LocalServer } from './local-server.ts';
import { setSynchronousNames } from './reload.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'regent-names-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

interface Play {
  readonly recovery?: boolean;
  readonly before?: string;
  readonly obeyed?: boolean;
  readonly major?: number;
  /** The checkpointer's wait event. */
  readonly event: string | null;
}

/** A server that takes up its file at each signal, and a checkpointer that may not. */
function stage({ recovery = false, before = '', obeyed = false, major = 15, event }: Play) {
  mkdirSync(join(dataDir, 'global'));
  writeFileSync(join(dataDir, 'PG_VERSION'), `${major}\n`);
  writeFileSync(join(dataDir, 'global', 'pg_control'), '');
  const server = {
    settings: { ...settings('a'), postgresql: { ...settings('a').postgresql, dataDir, configDir: dataDir } },
    clock: realClock,
    log: keptLog(),
    runAs: null,
    role: recovery ? { kind: 'standby', source: null } : { kind: 'primary' },
    syncNames: before,
    owesReload: false,
    namesObeyed: obeyed,
  } as unknown as LocalServer;
  let written = before;
  let shown = before;
  let looks = 0;
  const answers = async (text: string) => {
    if (text.includes('checkpointer')) {
      looks += 1;
      return { rows: [{ wait_event: event }] };
    }
    return { rows: [{ names: shown, recovery }] };
  };
  Object.assign(server, {
    watch: { current: () => ({ signal: () => (shown = written) }) },
    heartbeat: {
      use: async (_settings: unknown, _options: unknown, run: (client: unknown) => Promise<unknown>) => run({ query: answers }),
    },
    writer: {
      writeServerFiles: async (_settings: unknown, _role: unknown, names: string | null) => {
        const changed = written !== names;
        written = names ?? '';
        return { changed, changedFiles: [], notWritten: [], ofRole: null };
      },
    },
  });
  const set = (names: string) => setSynchronousNames(server, names, { timeoutMs: 700 });
  return { server, set, shown: () => shown, looks: () => looks };
}

it.each([true, false])('the first names are looked for at the checkpointer; in recovery: %s', async (recovery) => {
  const { set, shown, looks, server } = stage({ recovery, event: 'CheckpointerMain' });
  await set('b');
  expect([shown(), looks() > 1, server.namesObeyed]).toEqual(['b', true, true]);
});

it('names that it does not take up in time are taken back', async () => {
  const { set, shown, server } = stage({ event: 'DataFileSync' });
  await expect(set('b')).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT' });
  expect([shown(), server.namesObeyed, server.syncNames]).toEqual(['', false, '']);
});

it('names in the place of others need no look, once it is known to wait', async () => {
  const { set, shown, looks } = stage({ before: 'c', obeyed: true, event: 'DataFileSync' });
  await set('b');
  expect([shown(), looks()]).toEqual(['b', 0]);
});

it('an agent that has just begun does not know it, and takes nothing back', async () => {
  const { set, shown } = stage({ before: 'c', event: 'DataFileSync' });
  await expect(set('b')).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT' });
  expect(shown()).toBe('b');
});

it('before 14 a checkpointer that shows nothing for longer than its nap has taken them up', async () => {
  const { set, shown } = stage({ major: 13, event: null });
  await set('b');
  expect(shown()).toBe('b');
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir);
  await expect(stage({ major: 14, event: null }).set('b')).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT' });
});
