/** Names of synchronous standbys count once the checkpointer has read them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keptLog, realClock } from '../../../test/fixtures/operator-port.ts';
import { settings } from '../../../test/support/build.ts';
import type { LocalServer } from './local-server.ts';
import { applyConfig, setSynchronousNames } from './reload.ts';

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
  let signals = 0;
  const takeUp = () => {
    shown = written;
    signals += 1;
  };
  const answers = async (text: string) => {
    if (text.includes('checkpointer')) {
      looks += 1;
      return { rows: [{ wait_event: event }] };
    }
    return { rows: [{ names: shown, recovery, at: String(signals) }] };
  };
  Object.assign(server, {
    watch: { current: () => ({ signal: takeUp }) },
    heartbeat: {
      use: async (_settings: unknown, _options: unknown, run: (client: unknown) => Promise<unknown>) => run({ query: answers }),
    },
    writer: {
      writeServerFiles: async (_settings: unknown, _role: unknown, names: string | null) => {
        const changed = written !== (names ?? '');
        written = names ?? '';
        return { changed, changedFiles: [], notWritten: [], ofRole: null };
      },
    },
  });
  const set = (names: string, timeoutMs = 10_000) => setSynchronousNames(server, names, { timeoutMs });
  return { server, set, shown: () => shown, looks: () => looks, signals: () => signals };
}

it.each([true, false])('the first names are looked for at the checkpointer; in recovery: %s', async (recovery) => {
  const { set, shown, looks, server } = stage({ recovery, event: 'CheckpointerMain' });
  await set('b');
  expect([shown(), looks() > 1, server.namesObeyed]).toEqual(['b', true, true]);
});

it('names that it does not take up in time stay in force, and are not known to be obeyed', async () => {
  const { set, shown, server } = stage({ event: 'DataFileSync' });
  await expect(set('b', 200)).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT', message: expect.stringContaining('checkpointer') });
  expect([shown(), server.namesObeyed, server.syncNames]).toEqual(['b', false, 'b']);
});

it('somebody has emptied the names: the checkpointer is looked at again', async () => {
  const { set, server } = stage({ obeyed: true, event: 'DataFileSync' });
  await expect(set('b', 200)).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT' });
  expect(server.namesObeyed).toBe(false);
});

it('names in force that are not known to be obeyed are looked for, and nothing is signalled', async () => {
  const { set, looks, signals, server } = stage({ before: 'b', event: 'CheckpointerMain' });
  await set('b');
  expect([looks() > 1, signals(), server.namesObeyed]).toEqual([true, 0, true]);
});

it('a write that uses up the time leaves them in force, and not known to be obeyed', async () => {
  const { set, shown, server } = stage({ event: 'CheckpointerMain' });
  const write = server.writer.writeServerFiles.bind(server.writer);
  server.writer.writeServerFiles = async (...given) => {
    await new Promise((done) => setTimeout(done, 30));
    return write(...given);
  };
  await expect(set('b', 10)).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT' });
  expect([shown(), server.namesObeyed]).toEqual(['b', false]);
});

it('files that leave no names are enough for it to be forgotten', async () => {
  const { server } = stage({ before: 'b', obeyed: true, event: 'CheckpointerMain' });
  server.syncNames = null;
  await applyConfig(server, { kind: 'primary' }, { timeoutMs: 10_000 });
  expect(server.namesObeyed).toBe(false);
});

it('where the server cannot be asked, the files are to keep the names that they have', async () => {
  const { set, server } = stage({ before: 'c', event: 'CheckpointerMain' });
  server.heartbeat.use = () => Promise.reject(new Error('no connection is free'));
  await expect(set('b')).rejects.toThrow('no connection is free');
  expect(server.syncNames).toBe('c');
});

it('names in the place of others need no look, once it is known to wait', async () => {
  const { set, shown, looks } = stage({ before: 'c', obeyed: true, event: 'DataFileSync' });
  await set('b');
  expect([shown(), looks()]).toEqual(['b', 0]);
});

it('an agent that has just begun does not know it, and takes nothing back', async () => {
  const { set, shown } = stage({ before: 'c', event: 'DataFileSync' });
  await expect(set('b', 200)).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT' });
  expect(shown()).toBe('b');
});

it('before 14 a checkpointer that shows nothing for longer than its nap has taken them up', async () => {
  const { set, shown } = stage({ major: 13, event: null });
  await set('b');
  expect(shown()).toBe('b');
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir);
  await expect(stage({ major: 14, event: null }).set('b', 200)).rejects.toMatchObject({ code: 'PG_RELOAD_TIMEOUT' });
});
