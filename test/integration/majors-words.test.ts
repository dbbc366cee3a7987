/**
 * What each PostgreSQL major says and knows, of which Regent relies on the words: its settings,
 * what it objects to, why it does not start or stream. No server is started.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkGucs } from '../../src/adapters/postgres/guc-check.ts';
import { runner } from '../../src/adapters/postgres/local-server.ts';
import { REMOVED, WORDS } from '../../src/adapters/postgres/server-log.ts';
import { CANNOT_RECOVER } from '../../src/adapters/postgres/start-failure.ts';
import { CONTROLLED, type Controlled, RECOVERY_TARGETS } from '../../src/pgconf/guc-table.ts';
import { postgresOf } from '../../tools/suite/releases/find.ts';
import { postgresOwner } from './support/bare-postgres.ts';
import { recordingLog, settingsFor } from './support/postgres.ts';

/** What Regent writes into a file of every major, whatever the user has said. */
const ALWAYS_WRITTEN = [
  'wal_keep_size',
  'wal_retrieve_retry_interval',
  'primary_conninfo',
  'primary_slot_name',
  'recovery_target_timeline',
];

const TYPE_OF: Readonly<Record<Controlled['kind'], RegExp>> = {
  own: /^(STRING|INTEGER)$/,
  whole: /^INTEGER$/,
  boolean: /^BOOLEAN$/,
  'wal-level': /^ENUM$/,
};

for (const major of [13, 14, 15, 16, 17, 18]) {
  const programs = postgresOf(major);
  if ('missing' in programs) test(`PostgreSQL ${major}`, (context) => context.skip(programs.missing));
  else describe(`PostgreSQL ${major}`, () => wordsOf(programs.binDir));
}

function wordsOf(binDir: string): void {
  test('has each setting that Regent decides on, with its type and within its limits', () => {
    const text = execFileSync(join(binDir, 'postgres'), ['--describe-config'], { ...postgresOwner(), cwd: '/', encoding: 'utf8' });
    const described = new Map(
      text
        .trimEnd()
        .split('\n')
        .map((line) => [line.split('\t')[0]!, line.split('\t')]),
    );
    for (const [name, row] of Object.entries<Controlled>(CONTROLLED)) {
      const [, context, , type, , min, max] = described.get(name) ?? [];
      expect({ name, context, type }).toEqual({ name, context: 'postmaster', type: expect.stringMatching(TYPE_OF[row.kind]) });
      if (row.kind !== 'whole') continue;
      expect(row.min, name).toBeGreaterThanOrEqual(Number(min));
      expect(row.max, name).toBeLessThanOrEqual(Number(max));
    }
    for (const name of [...RECOVERY_TARGETS, ...ALWAYS_WRITTEN]) expect(described.has(name), name).toBe(true);
  });

  test('objects to settings in words that name them', async () => {
    const owner = postgresOwner();
    const settings = settingsFor({ home: '/nowhere', name: 'a', port: 5432, binDir });
    const log = recordingLog();
    const asked = {
      not_known: '1',
      work_mem: '5kB',
      checkpoint_timeout: '90000s',
      autovacuum: 'maybe',
      timezone: 'Mars/Base',
      wal_compression: 'much',
      max_wal_size: '99999999999999',
      server_version: '1',
      maintenance_work_mem: '32MB',
    };
    const { accepted, judged } = await checkGucs({ run: runner(owner), log, runAs: owner }, settings, asked);
    expect(judged).toBe(true);
    expect(accepted).toEqual({
      work_mem: '64',
      checkpoint_timeout: '86400',
      max_wal_size: '2147483647',
      maintenance_work_mem: '32MB',
    });
    expect(log.lines).toEqual([]);
  });

  test('says why it does not start, or does not stream, in words that Regent looks for', () => {
    const said = messagesIn(binDir);
    for (const pattern of [...CANNOT_RECOVER, ...WORDS, REMOVED]) expect(pattern.test(said), `${pattern}`).toBe(true);
  });
}

/** Every text of the server and of its walreceiver, with something in the place of each value. */
function messagesIn(binDir: string): string {
  const walreceiver = ['lib', 'lib/postgresql']
    .map((name) => join(binDir, '..', name))
    .find((path) => readdirSync(path).includes(WALRECEIVER))!;
  return [join(binDir, 'postgres'), join(walreceiver, WALRECEIVER)]
    .map((path) => readFileSync(path, 'latin1'))
    .join('')
    .replaceAll('\0', '\n')
    .replaceAll(/%0?8?X/g, '1F')
    .replaceAll(/%l?[ud]/g, '7')
    .replaceAll('%s', 'A');
}

const WALRECEIVER = 'libpqwalreceiver.so';
