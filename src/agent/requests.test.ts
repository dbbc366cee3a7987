/** Which conditions of a restart a member meets. */
import { expect, it } from 'vitest';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import { memory, observation, pg, settings } from '../../test/support/build.ts';
import { fake } from '../../test/support/fake.ts';
import { manualClock } from '../../test/support/manual-clock.ts';
import type { MemberRole } from '../core/cluster.ts';
import type { PostgresFacts } from '../core/postgres-facts.ts';
import { Requests } from './requests.ts';
import type { LastRound } from './rounds.ts';

const ROLES = ['primary', 'standby_leader', 'replica'] as const;
const REFUSED = { ok: false, status: 503, message: 'restart conditions are not satisfied' };

/** The roles for which this member would restart. */
async function rolesMet(facts: PostgresFacts, role: MemberRole): Promise<readonly string[]> {
  const met: string[] = [];
  for (const wanted of ROLES) {
    const clock = { ...manualClock(), wallMs: () => 0 };
    const last = fake<LastRound>({ observation: observation({ pg: facts }) });
    const rounds = { last, memory: memory({ role }), onEnd: () => () => {} };
    const local = () => settings('a').local;
    const requests = new Requests(
      { clock, log: keptLog(), settings: { local } },
      { rounds, job: { running: null, cancel: () => {} }, wake: () => {} },
    );
    const answer = requests.restart({ role: wanted });
    if (requests.open().restart === null) expect(await answer).toEqual(REFUSED);
    else met.push(wanted);
  }
  return met;
}

it.each<[string, PostgresFacts, MemberRole, readonly string[]]>([
  ['a primary', pg.primary(), 'primary', ['primary']],
  ['a replica', pg.standby(), 'replica', ['replica']],
  ['the leader of a standby cluster', pg.standby(), 'standby_leader', ['standby_leader']],
  ['such a leader that is down', { ...pg.stopped(), standbySignal: true }, 'standby_leader', ['standby_leader']],
])('the role of %s', async (_, facts, role, met) => {
  expect(await rolesMet(facts, role)).toEqual(met);
});
