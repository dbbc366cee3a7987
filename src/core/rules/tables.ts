/** The tables behind rules that have many outcomes, as docs/rules.md draws them. */
import { admissionTable } from '../admission.ts';
import type { DrawnTable } from '../decision-table.ts';
import { leaseTable } from '../quorum/in-force.ts';
import { refusalTable, unheededTable } from '../quorum/refusal.ts';
import { suspicionTable } from '../quorum/suspicion.ts';
import { takeOverTable } from '../quorum/take-over.ts';
import { raceTables } from '../race/race.ts';
import { successorTable } from '../race/successors.ts';
import { mendTable } from './mend.ts';
import { switchoverTable } from './switchover.ts';

export const tablesBehindRules: readonly DrawnTable[] = [
  ...raceTables,
  admissionTable,
  leaseTable,
  suspicionTable,
  takeOverTable,
  unheededTable,
  refusalTable,
  switchoverTable,
  successorTable,
  mendTable,
];
