import { expect, test } from 'vitest';
import { dynamic, member, view } from '../../../test/support/build.ts';
import type { ClusterView } from '../cluster.ts';
import type { DynamicSettings } from '../settings.ts';
import { adviceFacts } from './facts.ts';
import { type Fault, faultAdvice, faultRows } from './faults.ts';
import { MEASURED } from './measured.ts';
import { outageText } from './outage.ts';

const beating = (...names: string[]) => names.map((name) => member(name, { raw: { beats: 1 } }));
const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '6' };
const silent = view({ leaderName: 'a' });
const voting = view({ leaderName: 'a', members: beating('a', 'b', 'c'), sync });
const alone = view({ leaderName: 'a', members: beating('a') });
const url = (name: string) => `http://${name}:8008/patroni`;
const mapped = { ...silent, failsafe: { map: { a: url('a'), b: url('b'), c: url('c') }, modRevision: '7' } };
const FAILSAFE = { failsafeMode: true } as const;
const unconfirmed = { ...voting, sync: { ...sync, quorum: 0, standbys: [] } };
const QUORUM = { synchronousMode: 'quorum' } as const;

type Case = readonly [id: string, ClusterView, Partial<DynamicSettings>, outage: string, loss: string];
const LAG = 'up to 1 MB of WAL, and the last 10 s of writes';

const cases: readonly Case[] = [
  ['node.paused', voting, { ...QUORUM, pause: true }, 'until somebody acts', 'none'],
  ['node.nobody-else', unconfirmed, QUORUM, 'until the node is back', 'none, if its disk survives'],
  ['node.promises', voting, { ...QUORUM, suspectAfterMs: 500 }, 'up to 0.5 s + promotion', 'none'],
  ['node.lease', silent, {}, '20 to 30 s + promotion', LAG],
  ['cut.paused', voting, { pause: true }, 'until somebody acts', 'none'],
  ['cut.nobody-else', alone, {}, 'until the node is back', 'none, if its disk survives'],
  ['cut.promises', voting, QUORUM, 'up to 1 s + promotion', 'none'],
  ['cut.lease', silent, {}, '20 to 30 s + promotion', `${LAG}; and what the old primary takes for up to 24 s`],
  ['crash.paused', voting, { pause: true }, 'until somebody acts', 'none'],
  ['crash.handed-over', voting, { ...QUORUM, primaryStartTimeoutSeconds: 0 }, 'promotion', 'none'],
  [
    'crash.nobody-else',
    alone,
    { primaryStartTimeoutSeconds: 0 },
    `${MEASURED.restartInPlace.withRouter} s or more, until its recovery ends`,
    'none',
  ],
  ['crash.in-place', voting, QUORUM, `${MEASURED.restartInPlace.withRouter} to 300 s`, 'none'],
  ['hang.stuck', alone, {}, 'until somebody acts', 'none'],
  ['hang.handed-over', voting, QUORUM, '5 to 9 s + promotion', 'none'],
  ['agent.paused', voting, { pause: true }, 'none', 'none'],
  ['agent.nobody-else', alone, {}, 'until the agent is back', 'none'],
  ['agent.promises', voting, QUORUM, 'up to 1 s + promotion', 'none'],
  ['agent.lease', silent, { ttlSeconds: 20 }, 'up to 2 s + promotion', 'up to 1 MB of WAL, and the last 6.67 s of writes'],
  ['alone.paused', voting, { pause: true }, 'none', 'none'],
  ['alone.carried', voting, {}, 'none', 'none'],
  ['alone.failsafe', mapped, FAILSAFE, 'none', 'none'],
  ['alone.nobody-else', alone, {}, 'until it reaches etcd again', 'none'],
  ['alone.lease', silent, {}, 'up to 6 s + promotion', LAG],
  ['etcd.paused', voting, { pause: true }, 'none', 'none'],
  ['etcd.vouched', voting, QUORUM, 'none', 'none'],
  ['etcd.failsafe', mapped, FAILSAFE, 'none', 'none'],
  ['etcd.lease', voting, {}, 'until etcd is back', 'none'],
  ['switchover.impossible', alone, {}, 'until somebody acts', 'none'],
  ['switchover.planned', silent, {}, `${MEASURED.switchover.withRouter} to ${MEASURED.switchover.withoutRouter} s`, 'none'],
];

test.each(cases)('%s', (id, seen, settings, outage, loss) => {
  const advice = faultAdvice(adviceFacts(seen, dynamic(settings)));
  const told = advice.find((each) => each.id === id);
  expect(told && [outageText(told.outage), told.loss]).toEqual([outage, loss]);
  expect(told?.because).not.toBe('');
});

test('each row has a case, and each fault a row that always applies', () => {
  expect(cases.map(([id]) => id)).toEqual(faultRows.map(({ id }) => id));
  const faults = new Set<Fault>(faultRows.map(({ fault }) => fault));
  for (const seen of [view(), silent, voting, alone, unconfirmed]) {
    for (const settings of [{}, QUORUM, { synchronousMode: 'on', failoverFence: 'lease' }] as const) {
      expect(new Set(faultAdvice(adviceFacts(seen, dynamic(settings))).map(({ fault }) => fault))).toEqual(faults);
    }
  }
});

test('a figure that was measured says so', () => {
  const advice = faultAdvice(adviceFacts(voting, dynamic(QUORUM)));
  const measured = advice.filter(({ source }) => source !== 'settings').map(({ fault }) => fault);
  expect(measured).toEqual(['PostgreSQL crashes', 'switchover']);
});

test('whoever may not lead is no heir', () => {
  const tagged = {
    ...silent,
    members: [silent.members[0]!, member('b', { tags: { nofailover: true } }), member('c', { state: 'stopped' })],
  };
  expect(adviceFacts(tagged, dynamic()).heirs).toEqual([]);
  expect(adviceFacts(silent, dynamic()).heirs).toEqual(['b', 'c']);
  const stopped = { ...voting, members: [...beating('a', 'b'), member('c', { state: 'stopped', raw: { beats: 1 } })] };
  expect(adviceFacts(stopped, dynamic(QUORUM)).heirs).toEqual([]);
  expect(adviceFacts(voting, dynamic(QUORUM)).heirs).toEqual(['b', 'c']);
  const named = { ...silent, sync: { leader: 'a', quorum: 0, standbys: ['B'], modRevision: '6' } };
  expect(adviceFacts(named, dynamic({ synchronousMode: 'on' })).heirs).toEqual(['b']);
});
