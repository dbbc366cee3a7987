/**
 * pg_hba.conf and pg_ident.conf with mistakes, PostgreSQL's judgement played by the test. The real
 * one: test/integration/postgres-access-files.test.ts.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { ended } from '../../../test/support/ended.ts';
import type { Settings } from '../../core/settings.ts';
import type { Judge, Verdict } from './access-files.ts';
import { ConfWriter } from './conf-writer.ts';

let data: string;
let writer: ConfWriter;
let asked: string[];
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'regent-access-'));
  mkdirSync(join(data, 'pass'));
  writeFileSync(join(data, 'PG_VERSION'), '15\n');
  asked = [];
  const run = async () => ended();
  writer = new ConfWriter({ run, log: keptLog() });
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

const GOOD = ['local all all trust'];
const BAD = ['local all all trust', 'hots all all trust'];
const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
const read = (name: string) => readFileSync(join(data, name), 'utf8').replace(/^#.*\n/gm, '');
const settingsWith = (more: Partial<Settings['postgresql']>) =>
  someSettings({ postgresql: { dataDir: data, configDir: data, pgpass: join(data, 'pass', 'pgpass'), ...more } });

/** Objects to lines of an unknown type, in the file as it is at that moment. */
const judge: Judge = async (which, path): Promise<Verdict> => {
  asked.push(which);
  const line = readFileSync(path, 'utf8').split('\n').indexOf('hots all all trust');
  return line < 0 ? 'good' : { refused: `line ${line + 1}: invalid connection type "hots"` };
};
const write = (settings: Settings, by: Judge | null = judge) =>
  writer.writeServerFiles(settings, { kind: 'primary' }, null, 15, null, 'all', 'clean', by);

describe('pg_hba of the settings', () => {
  test('that PostgreSQL cannot read is not left on disk: the former rules stay, and the complaint names the line', async () => {
    expect((await write(settingsWith({ pgHba: GOOD }))).notWritten).toEqual([]);
    const outcome = await write(settingsWith({ pgHba: BAD }));
    expect(outcome.notWritten).toEqual([
      expect.stringMatching(/pg_hba\.conf: PostgreSQL cannot read .*line \d+: invalid connection type "hots"/),
    ]);
    expect(outcome.changed).toBe(false);
    expect(read('pg_hba.conf')).toBe(text(GOOD));
    expect(read('pg_hba.conf.backup')).toBe(text(GOOD));
  });

  test('that was refused is reported again, but not written again; corrected, it is written', async () => {
    await write(settingsWith({ pgHba: GOOD }));
    await write(settingsWith({ pgHba: BAD }));
    asked = [];
    expect((await write(settingsWith({ pgHba: BAD }), () => expect.unreachable())).notWritten).toHaveLength(1);
    const corrected = [...GOOD, 'host all all 10.0.0.0/8 trust'];
    expect((await write(settingsWith({ pgHba: corrected }))).notWritten).toEqual([]);
    expect(read('pg_hba.conf')).toBe(text(corrected));
    expect(asked).toContain('hba');
  });

  test('is checked once, and not in every round', async () => {
    await write(settingsWith({ pgHba: GOOD }));
    asked = [];
    await write(settingsWith({ pgHba: GOOD }));
    expect(asked).not.toContain('hba');
  });

  test('found broken on disk by a new agent is replaced by the copy of the last good one', async () => {
    await write(settingsWith({ pgHba: GOOD }));
    await write(settingsWith({ pgHba: BAD }), null);
    expect(read('pg_hba.conf')).toBe(text(BAD));
    writer = new ConfWriter({ run: async () => expect.unreachable(), log: keptLog() });
    expect((await write(settingsWith({ pgHba: BAD }))).notWritten[0]).toContain('invalid connection type');
    expect(read('pg_hba.conf')).toBe(text(GOOD));
  });

  test('is written where no server can check it: PostgreSQL is down, or does not let the agent in', async () => {
    expect((await write(settingsWith({ pgHba: GOOD }), null)).notWritten).toEqual([]);
    expect((await write(settingsWith({ pgHba: BAD }), async () => 'unknown')).notWritten).toEqual([]);
    expect(read('pg_hba.conf')).toBe(text(BAD));
  });

  test('pg_ident is checked in the same way', async () => {
    await write(settingsWith({ pgIdent: ['map a b'] }));
    const outcome = await write(settingsWith({ pgIdent: ['map a b', 'hots all all trust'] }));
    expect(outcome.notWritten).toEqual([expect.stringContaining('postgresql.pg_ident')]);
    expect(read('pg_ident.conf')).toBe('map a b\n');
    expect((await write(settingsWith({ pgIdent: null }))).notWritten).toEqual([]);
  });
});

test('a file of the operator’s own with a mistake is reported, and left alone', async () => {
  writeFileSync(join(data, 'pg_hba.conf'), text(BAD));
  const { notWritten } = await write(settingsWith({ pgHba: null }));
  expect(notWritten).toEqual([expect.stringMatching(/pg_hba\.conf has a mistake.*line 2: invalid connection type/)]);
  expect(read('pg_hba.conf')).toBe(text(BAD));
  writeFileSync(join(data, 'pg_hba.conf'), text(GOOD));
  expect((await write(settingsWith({ pgHba: null }))).notWritten).toEqual([]);
});

describe('a server that ended while it started', () => {
  const WORDS =
    'PostgreSQL ended while starting: x LOG:  starting PostgreSQL 15\nx LOG:  invalid connection type "hots"\nx CONTEXT:  line 2 of configuration file "/d/pg_hba.conf"\nFATAL:  could not load /d/pg_hba.conf';

  test('gets the rules of its last start; the operator’s file is kept and reported until it is corrected', async () => {
    const settings = settingsWith({ pgHba: null });
    writeFileSync(join(data, 'pg_hba.conf'), text(GOOD));
    await write(settings);
    writeFileSync(join(data, 'pg_hba.conf'), text(BAD));
    const rules = await writer.fallBackFrom(settings, WORDS);
    expect(rules?.complaint).toContain('line 2: invalid connection type "hots"');
    expect([read('pg_hba.conf'), read('pg_hba.conf.refused')]).toEqual([text(GOOD), text(BAD)]);
    expect((await write(settings)).notWritten).toEqual([expect.stringContaining('pg_hba.conf.refused')]);
    writeFileSync(join(data, 'pg_hba.conf'), `${text(GOOD)}# looked at\n`);
    expect((await write(settings)).notWritten).toEqual([]);
  });

  test('gets its file back when that was not the reason', async () => {
    const settings = settingsWith({ pgHba: GOOD });
    await write(settings);
    await write(settingsWith({ pgHba: BAD }), null);
    const rules = await writer.fallBackFrom(settingsWith({ pgHba: BAD }), WORDS);
    expect(read('pg_hba.conf')).toBe(text(GOOD));
    await rules?.undo();
    expect(read('pg_hba.conf')).toBe(text(BAD));
    expect(existsSync(join(data, 'pg_hba.conf.refused'))).toBe(false);
  });

  test.each([
    ['for another reason', 'FATAL:  could not locate a valid checkpoint record'],
    ['on the rules of its last start', WORDS],
  ])('%s has nothing to fall back to', async (_, words) => {
    await write(settingsWith({ pgHba: GOOD }));
    expect(await writer.fallBackFrom(settingsWith({ pgHba: GOOD }), words)).toBeNull();
  });

  test('with a log of its own may have ended because of its rules', async () => {
    await write(settingsWith({ pgHba: GOOD }));
    await write(settingsWith({ pgHba: BAD }), null);
    const rules = await writer.fallBackFrom(settingsWith({ pgHba: BAD }), 'LOG:  redirecting log output to logging collector process');
    expect(rules?.complaint).toContain("PostgreSQL's log has the line");
  });
});
