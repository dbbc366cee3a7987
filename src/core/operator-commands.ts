/** Commands that a log line tells an operator to run. */
import type { Context } from './context.ts';

export const reinitCommand = (c: Context) => `run: regentctl reinit ${c.o.settings.local.scope} ${c.me}`;
