/** What the operator asked of this node over REST. */
import { primaryRole, wantedSource } from '../context.ts';
import type { ServerRole } from '../effects.ts';
import { cloneSource } from './data-dir.ts';
import type { Rule } from './table.ts';

export const wishRules: readonly Rule[] = [
  {
    id: 'wish.reinitialize',
    situation: 'the operator wants this member cloned anew, and another member leads',
    when: (c) => c.o.wishes.reinitialize !== null && c.otherLeader !== null && cloneSource(c) !== null,
    ask: (c) => {
      const from = cloneSource(c);
      const wish = c.o.wishes.reinitialize;
      if (from === null || wish === null) return {};
      return {
        effects: [
          { kind: 'start-job', job: { kind: 'reinitialize', source: from.source, fromLeader: from.fromLeader || wish.fromLeader } },
        ],
      };
    },
    because: 'reinitialize: this member is cloned anew at the operator’s wish',
  },
  {
    id: 'wish.restart',
    situation: 'the operator wants PostgreSQL restarted, and its role here is clear',
    when: (c) => c.o.wishes.restart !== null && (c.isStandby || (c.isPrimary && (c.paused || (c.lockMine && c.mayLeadNow)))),
    ask: (c) => {
      const role: ServerRole = c.isPrimary ? primaryRole(c) : { kind: 'standby', source: wantedSource(c) };
      return {
        effects: [{ kind: 'start-job', job: { kind: 'restart', role, why: 'restart', timeoutMs: c.o.wishes.restart?.timeoutMs ?? null } }],
      };
    },
    because: 'restart: at the operator’s wish',
  },
];
