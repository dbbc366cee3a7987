import { describe, expect, it } from 'vitest';
import { prospectOf } from '../../core/rewind-prospects.ts';
import { rewindFailure } from './rewind-failure.ts';

const failed = (stderr: string, archive = false) => rewindFailure({ cause: 'exit', stdout: '', stderr }, archive).code;

describe('pg_rewind’s last words', () => {
  it.each([
    ['pg_rewind: error: could not write file "base/5/1249": No space left on device', 'REWIND_NO_ROOM', 'passes'],
    [
      'FATAL:  could not write to file "pg_wal/xlogtemp.17": No space left on device\npg_rewind: error: postgres single-user mode in target cluster failed',
      'REWIND_NO_ROOM',
      'passes',
    ],
    [
      'pg_rewind: error: connection to server at "10.0.0.1", port 5432 failed: FATAL:  password authentication failed for user "rewinder"',
      'REWIND_SOURCE_LOST',
      'passes',
    ],
    [
      'pg_rewind: error: connection to server at "10.0.0.1", port 5432 failed: FATAL:  role "rewinder" does not exist',
      'REWIND_SOURCE_LOST',
      'passes',
    ],
    [
      'pg_rewind: error: could not fetch remote file "global/pg_control": server closed the connection unexpectedly',
      'REWIND_SOURCE_LOST',
      'passes',
    ],
    ['pg_rewind: error: could not fetch file list: ERROR:  permission denied for function pg_ls_dir', 'REWIND_NO_RIGHT', 'passes'],
    [
      'pg_rewind: error: could not open file "/d/pg_wal/000000010000000000000003": No such file or directory\npg_rewind: error: could not find previous WAL record at 0/3000060',
      'REWIND_WAL_GONE',
      'never',
    ],
    [
      'pg_rewind: error: could not find common ancestor of the source and target cluster\u2019s timelines',
      'REWIND_NOTHING_IN_COMMON',
      'never',
    ],
    ['pg_rewind: error: source and target clusters are from different systems', 'REWIND_NOTHING_IN_COMMON', 'never'],
    ['pg_rewind: error: target server needs to use either data checksums or "wal_log_hints = on"', 'REWIND_REFUSED', 'never'],
    ['pg_rewind: error: something new', 'REWIND_FAILED', 'unclear'],
  ] as const)('%s', (words, code, prospect) => {
    expect(failed(words)).toBe(code);
    expect(prospectOf(code)).toBe(prospect);
  });

  it('are told in the one line that gives the reason, without the moment and the process', () => {
    const server = '2026-11-28 16:22:16.411 UTC [2651] ';
    const full = `${server}LOG:  redo done at 0/6FFFCB8\n${server}FATAL:  could not write to file "pg_wal/xlogtemp.2651": No space left on device`;
    const stderr = `${full}\npg_rewind: error: postgres single-user mode in target cluster failed\n`;
    const { words } = rewindFailure({ cause: 'exit', stdout: '', stderr }, false);
    expect(words).toBe('FATAL:  could not write to file "pg_wal/xlogtemp.2651": No space left on device');
    expect(rewindFailure({ cause: 'exit', stdout: 'one\n', stderr: '10/20 kB\rtwo\n' }, false).words).toBe('one; 10/20 kB; two');
    expect(rewindFailure({ cause: 'exit', stdout: '', stderr: '' }, false).words).toBe('it said nothing');
  });

  it('WAL that is missing may be in an archive that is out of reach just now', () => {
    expect(prospectOf(failed('pg_rewind: error: could not find previous WAL record at 0/3000060', true))).toBe('unclear');
  });

  it('a run that was called off says nothing about the data', () => {
    expect(prospectOf(rewindFailure({ cause: 'timeout', stdout: '', stderr: '' }, false).code)).toBe('passes');
  });
});
