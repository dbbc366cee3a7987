/** What a stopped server was when it last ran. */
import type { Context } from './context.ts';
import { writtenEnd } from './divergence.ts';

/** It ran as a primary: there is no signal file, and the control file does not say recovery. */
export const wasPrimary = (c: Context): boolean =>
  c.o.pg.baseBackup === undefined &&
  !c.o.pg.standbySignal &&
  c.o.pg.recoverySignal === undefined &&
  !/recovery$/.test((c.o.pg.control?.state ?? '').replace('in crash recovery', 'crash'));

/**
 * It wrote WAL of its own. This also holds after a start as a standby that wrote the signal file,
 * but ended before it marked the control file.
 */
export const wroteItsOwn = (c: Context): boolean => wasPrimary(c) || writtenEnd(c.o.pg) !== null;
