/** What an operator asked of this node over REST. */
import { cloneSource } from '../clone-source.ts';
import { isOfAnotherCluster, primaryRole, wantedSource } from '../context.ts';
import { RESTART, type ServerRole } from '../effects.ts';
import { blindRole } from '../locked-out.ts';
import { startAs } from '../requested-start.ts';
import { takeover } from '../sync.ts';
import type { Section } from './table.ts';

/**
 * Before all that is said of a directory without usable data, because this is how an operator would
 * mend one.
 */
export const reinitializeRequest: Section = {
  title: 'An operator’s request to reinitialize this member',
  situation: 'an operator asked for a new copy of this member’s data',
  when: (c) => c.o.requests.reinitialize !== null,
  rules: [
    {
      id: 'request.reinitialize',
      situation: 'another member leads, and the data here are not another cluster’s',
      when: (c) =>
        c.otherLeader !== null &&
        cloneSource(c) !== null &&
        c.o.pg.dataDir !== 'inaccessible' &&
        !(c.view !== null && isOfAnotherCluster(c.o.pg, c.view)),
      ask: (c) => {
        const from = cloneSource(c, c.o.requests.reinitialize?.fromLeader);
        if (from === null) return {};
        return {
          effects: [{ kind: 'start-job', job: { kind: 'reinitialize', ...from } }],
          because: `reinitializing: an operator requested a new copy, which is taken from ${from.source.name}`,
        };
      },
      because: 'reinitializing: an operator requested a new copy',
    },
  ],
};

export const restartRequest: Section = {
  title: 'An operator’s request to restart PostgreSQL',
  situation: 'an operator asked for a restart',
  when: (c) => c.o.requests.restart !== null,
  rules: [
    {
      id: 'request.restart',
      situation: 'PostgreSQL runs, and its role is clear',
      when: (c) =>
        c.isStandby ||
        blindRole(c, { kind: 'standby', source: null }) !== null ||
        (c.isPrimary && (c.paused || (c.lockMine && c.mayLeadNow))),
      ask: (c) => {
        const leads = c.followsRemote && c.lockMine;
        const standby = { kind: 'standby', source: wantedSource(c), ...(leads && { leads: true as const }) } as const;
        const role: ServerRole = c.isPrimary ? primaryRole(c) : (blindRole(c, standby) ?? standby);
        // Commits will wait for nobody once it is back: by then /sync must list nobody either.
        const sync = c.lockMine && c.isPrimary && c.o.settings.dynamic.synchronousMode === 'off' ? takeover(c).effect : null;
        return {
          effects: [
            ...(sync ? [sync] : []),
            { kind: 'start-job', job: { kind: 'restart', role, why: RESTART, timeoutMs: c.o.requests.restart?.timeoutMs ?? null } },
          ],
        };
      },
      because: 'restarting PostgreSQL: an operator requested it',
    },
    {
      id: 'request.start',
      situation: 'PostgreSQL is down, and it is clear how it is to start',
      when: (c) => c.stopped && c.o.pg.dataDir === 'valid' && startAs(c) !== null,
      ask: (c) => startAs(c) ?? {},
      because: 'starting PostgreSQL, which is down: an operator requested a restart',
    },
  ],
};
