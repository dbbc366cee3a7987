/** The tables behind rules that have many outcomes, as docs/rules.md draws them. */
import type { DrawnTable } from '../decision-table.ts';
import { raceTables } from '../race/race.ts';
import { successorTable } from '../race/successors.ts';
import { mendTable } from './mend.ts';
import { switchoverTable } from './switchover.ts';

export const tablesBehindRules: readonly DrawnTable[] = [...raceTables, switchoverTable, successorTable, mendTable];
