/**
 * What the last failure of a rewind says about the next try, by the stable code of its error.
 *
 * passes: the cause lies outside the data (the source, the network, room on the disk, a password).
 * So trying goes on for as long as it takes. never: whatever is tried, pg_rewind cannot mend these
 * data from this source. unclear: anything else. Trying goes on as well; after a few tries a new
 * copy may be made instead, where the settings allow it.
 */
export type Prospect = 'passes' | 'unclear' | 'never';

/** A rewind ended well, and this node did not stream after it. */
export const REWIND_IN_VAIN = 'REWIND_IN_VAIN';

/** The program could not be started. */
export const REWIND_NO_PROGRAM = 'REWIND_NO_PROGRAM';

/** Where the WAL here ends could not be found out this time. */
export const COMPARE_UNKNOWN = 'COMPARE_UNKNOWN';

/** There is no pg_waldump here. */
export const COMPARE_NO_PROGRAM = 'COMPARE_NO_PROGRAM';

const PROSPECTS: Readonly<Record<string, Prospect>> = {
  SOURCE_UNREACHABLE: 'passes',
  SOURCE_NOT_READY: 'passes',
  REWIND_SOURCE_LOST: 'passes',
  REWIND_NO_RIGHT: 'passes',
  REWIND_NO_ROOM: 'passes',
  [REWIND_NO_PROGRAM]: 'passes',
  REWIND_CALLED_OFF: 'passes',
  DATA_DIR_MARK_FAILED: 'passes',
  FILE_WRITE_FAILED: 'passes',
  PG_RUNNING: 'passes',
  PG_STOP_FAILED: 'passes',
  PG_START_ABORTED: 'passes',
  PG_START_TIMEOUT: 'passes',
  PG_START_NO_ROOM: 'passes',
  ENOSPC: 'passes',
  EDQUOT: 'passes',
  EROFS: 'passes',
  [COMPARE_UNKNOWN]: 'passes',
  [COMPARE_NO_PROGRAM]: 'passes',
  COMPARE_DIVERGED: 'never',
  REWIND_BLIND: 'never',
  REWIND_REFUSED: 'never',
  REWIND_NOTHING_IN_COMMON: 'never',
  REWIND_WAL_GONE: 'never',
};

export function prospectOf(code: string | null | undefined): Prospect {
  return PROSPECTS[code ?? ''] ?? 'unclear';
}

/** The words of a server that cannot come up on these data, however often it is started. */
export const START_UNRECOVERABLE = 'PG_START_UNRECOVERABLE';
