/** The whole table, in order. docs/rules.md is drawn from it. */
import { dataDirRules } from './data-dir.ts';
import { fenceRules } from './fence.ts';
import { pausedRules } from './paused.ts';
import { primaryRules, standbyRules } from './running.ts';
import { jobRules, shutdownRules } from './shutdown.ts';
import { startingRules } from './starting.ts';
import { stoppedRules } from './stopped.ts';
import { switchoverRules } from './switchover.ts';
import type { Rule } from './table.ts';
import { unexplainedRules } from './unexplained.ts';
import { wishRules } from './wishes.ts';

export const sections: ReadonlyArray<{ readonly title: string; readonly rules: readonly Rule[] }> = [
  { title: 'A process that is not explained', rules: unexplainedRules },
  { title: 'Fence', rules: fenceRules },
  { title: 'Ending', rules: shutdownRules },
  { title: 'A job is running', rules: jobRules },
  { title: 'The data directory', rules: dataDirRules },
  { title: 'The operator’s wishes for this node', rules: wishRules },
  { title: 'Paused', rules: pausedRules },
  { title: 'PostgreSQL is down', rules: stoppedRules },
  { title: 'PostgreSQL is starting or silent', rules: startingRules },
  { title: 'Switchover', rules: switchoverRules },
  { title: 'A primary runs here', rules: primaryRules },
  { title: 'A standby runs here', rules: standbyRules },
];

export const allRules: readonly Rule[] = sections.flatMap((section) => section.rules);
