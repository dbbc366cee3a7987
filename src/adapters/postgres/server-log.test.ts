import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { realClock } from '../../../test/fixtures/operator-port.ts';
import { lastWords, ServerLog } from './server-log.ts';

const P = '2026-11-28 19:14:04.454 UTC [6167] ';

describe('why a walreceiver fails, as the log of PostgreSQL 13 to 18 has it', () => {
  test.each([
    [
      'plain',
      `${P}FATAL:  could not connect to the primary server: connection to server at "10.0.0.1", port 5432 failed: FATAL:  password authentication failed for user "rep"`,
      'could not connect to the primary server: connection to server at "10.0.0.1", port 5432 failed: FATAL: password authentication failed for user "rep"',
    ],
    [
      'newer',
      `${P}FATAL:  streaming replication receiver "n2" could not connect to the primary server: connection refused`,
      'streaming replication receiver "n2" could not connect to the primary server: connection refused',
    ],
    [
      'csv',
      `2026-11-28 19:14:04.454 UTC,,,617,,6a,1,,2026,,0,FATAL,08P01,"could not start WAL streaming: ERROR:  replication slot ""n2"" does not exist",,,,,,,,,"","walreceiver",,0`,
      'could not start WAL streaming: ERROR: replication slot "n2" does not exist',
    ],
    [
      'json',
      `{"pid":617,"message":"could not start WAL streaming: ERROR:  replication slot \\"n2\\" is active for PID 81","backend_type":"walreceiver"}`,
      'could not start WAL streaming: ERROR: replication slot "n2" is active for another process',
    ],
    [
      'timelines',
      `${P}LOG:  new timeline 3 forked off current database system timeline 2 before current recovery point 0/50000A0`,
      'new timeline 3 forked off current database system timeline 2 before current recovery point 0/50000A0',
    ],
  ])('%s', (_, line, words) => {
    expect(lastWords(`${P}LOG:  started streaming WAL\n${line}\n${P}LOG:  waiting for WAL to become available at 0/3000018\n`)).toBe(words);
  });

  test('the last line counts, and lines that a client was sent do not', () => {
    const refused = `${P}FATAL:  could not connect to the primary server: refused`;
    const gone = `${P}FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment 000000010000000000000003 has already been removed`;
    expect(lastWords(`${refused}\n${gone}\n`)).toContain('has already been removed');
    expect(lastWords(`${P}FATAL:  password authentication failed for user "app"\n`)).toBe(null);
  });
});

describe('the file', () => {
  let home: string;
  let nowMs: number;
  let collected: string | null;
  let log: ServerLog;
  const said = (words: string) => `${P}FATAL:  could not connect to the primary server: ${words}\n`;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'regent-log-'));
    nowMs = 0;
    collected = null;
    const settings = someSettings({ postgresql: { dataDir: join(home, 'data') } });
    const heartbeat = { query: async <Row>() => [{ file: collected }] as Row[] };
    const clock = { ...realClock, monotonicMs: () => nowMs };
    log = new ServerLog({
      clock,
      heartbeat,
      settings: { ...settings, local: { ...settings.local, log: { ...settings.local.log, dir: null } } },
      stateDir: null,
    });
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const words = () => {
    nowMs += 1000;
    return log.words();
  };

  test('finds the lines since the trouble began, and remembers them when others follow', async () => {
    const path = join(home, 'data.postgres.log');
    writeFileSync(path, said('an old story'));
    await log.begin();
    expect(await words()).toBe(null);
    appendFileSync(path, said('refused'));
    expect(await words()).toContain('refused');
    appendFileSync(path, 'x'.repeat(100_000));
    expect(await words()).toContain('refused');
    truncateSync(path, 0);
    appendFileSync(path, said('timeout'));
    expect(await words()).toContain('timeout');
    await log.begin();
    expect(await words()).toBe(null);
  });

  test('is that of the logging collector where there is one; nothing is known without a file', async () => {
    collected = '../collected.log';
    await log.begin();
    expect(await words()).toBe(null);
    writeFileSync(join(home, 'collected.log'), said('refused'));
    expect(await words()).toContain('refused');
  });
});
