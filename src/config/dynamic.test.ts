import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../support/json.ts';
import { resolveDynamic, validateDynamicPatch } from './dynamic.ts';
import { formatProblem } from './problems.ts';
import { fitTiming } from './timing.ts';

const told = (raw: JsonObject) =>
  resolveDynamic(raw).problems.map((problem) => `${problem.severity[0]} ${formatProblem(problem).replace('dynamic configuration: ', '')}`);

it('has defaults for everything', () => {
  expect(resolveDynamic({})).toEqual({
    dynamic: {
      ttlSeconds: 30,
      loopWaitSeconds: 10,
      retryTimeoutSeconds: 10,
      maximumLagOnFailoverBytes: 1048576,
      maximumLagOnSyncnodeBytes: -1,
      maxTimelinesHistory: 0,
      checkTimeline: false,
      primaryStartTimeoutSeconds: 300,
      primaryStopTimeoutSeconds: 0,
      primaryRaceBackoffSeconds: 0,
      synchronousMode: 'off',
      synchronousModeStrict: false,
      synchronousNodeCount: 1,
      failoverFence: 'quorum',
      failoverOnRefusal: false,
      suspectAfterMs: 1000,
      unresponsiveAfterSeconds: 5,
      failsafeMode: false,
      pause: false,
      standbyCluster: null,
      memberSlotsTtlSeconds: 1800,
      terminateStrangers: false,
      slots: {},
      slotsElsewhere: {},
      ignoreSlots: [],
      useSlots: true,
      postgresql: {},
      raw: {},
    },
    problems: [],
  });
});

describe('lenient values', () => {
  it.each<[JsonObject, object]>([
    [
      { ttl: '40', pause: 'on', check_timeline: 'yes' },
      { ttlSeconds: 40, pause: true, checkTimeline: true },
    ],
    [{ synchronous_mode: true }, { synchronousMode: 'on' }],
    [{ synchronous_mode: 'Quorum' }, { synchronousMode: 'quorum' }],
    [{ synchronous_mode: 'off' }, { synchronousMode: 'off' }],
    [
      { synchronous_mode_strict: true, synchronous_node_count: 0 },
      { synchronousModeStrict: true, synchronousNodeCount: 1 },
    ],
    [{ synchronous_node_count: 0 }, { synchronousNodeCount: 0 }],
    [
      { failover_fence: 'Lease', suspect_after: '2s', postgresql_unresponsive_after: '60' },
      { failoverFence: 'lease', suspectAfterMs: 2000, unresponsiveAfterSeconds: 60 },
    ],
    [{ member_slots_ttl: '1h' }, { memberSlotsTtlSeconds: 3600 }],
    [{ master_start_timeout: 5 }, { primaryStartTimeoutSeconds: 5 }],
    [{ master_start_timeout: 5, primary_start_timeout: 7 }, { primaryStartTimeoutSeconds: 7 }],
    [{ slots: { a: { type: 'physical' } }, permanent_slots: { b: {} } }, { slots: { b: { type: 'physical' } } }],
    [{ ignore_slots: [{ name: 'x' }] }, { ignoreSlots: [{ name: 'x' }] }],
    [{ postgresql: { use_slots: 'off' } }, { useSlots: false }],
    [{ postgresql: { create_replica_method: ['x'] } }, { postgresql: { create_replica_methods: ['x'] } }],
    [
      { ttl: null, pause: null },
      { ttlSeconds: 30, pause: false },
    ],
  ])('%j', (raw, expected) => {
    expect(resolveDynamic(raw).dynamic).toMatchObject(expected);
  });
});

describe('problems', () => {
  it.each<[JsonObject, string[]]>([
    [{ ttl: 'soon' }, ["e ttl: 'soon' is not a whole number; the default is used; write a whole number, such as 30"]],
    [{ loop_wait: [1] }, ['e loop_wait: a list is not a whole number; the default is used; write a whole number, such as 10']],
    [{ pause: 'perhaps' }, ["e pause: 'perhaps' is neither true nor false; the default is used; write 'true' or 'false'"]],
    [
      { maximum_lag_on_failover: -5 },
      ["e maximum_lag_on_failover: '-5' is below the least allowed, 0; the default is used; write 0 or more"],
    ],
    [{ maximum_lag_on_failover: '16MB' }, ["e maximum_lag_on_failover: '16MB' is not a whole number; the default is used; write 16777216"]],
    [{ primary_start_timeout: '5min' }, ["e primary_start_timeout: '5min' is not a whole number; the default is used; write 300"]],
    [
      { synchronous_mode: 'sometimes' },
      ["e synchronous_mode: 'sometimes' is none of off, on, quorum; the default is used; write one of them"],
    ],
    [{ suspect_after: 1 }, ["e suspect_after: '1' is below the least allowed, 300; the default is used; write 300 or more"]],
    [{ failover_fence: 'none' }, ["e failover_fence: 'none' is none of quorum, lease; the default is used; write one of them"]],
    [
      { postgresql: 5 },
      [
        "e postgresql: a number where a mapping is meant; the default is used; write 'postgresql:' on a line of its own and its settings below, indented",
      ],
    ],
    [{ tll: 5 }, ["w tll: unknown key 'tll'; did you mean 'ttl'?"]],
    [
      { postgresql: { listen: 'x:1' } },
      ["w postgresql.listen: 'listen' belongs to one node; it is ignored here; write it in the node's own file"],
    ],
    [
      { postgresql: { parameters: { port: 6000 } } },
      ["w postgresql.parameters.port: port = '6000' is set by Regent itself ('listen', 'scope'); it is ignored; remove it"],
    ],
    [
      { postgresql: { parameters: { max_connections: 10 } } },
      [
        "e postgresql.parameters.max_connections: max_connections = '10' is below the least allowed, 25; the default 100 is used; write a number from 25 to 262143",
      ],
    ],
    [
      { postgresql: { parameters: { work_mem: [1], shared_buffers: '1GB' } } },
      [
        "e postgresql.parameters.work_mem: a list where a single value is meant; it is ignored; write 'work_mem: value'; several as one text with commas",
      ],
    ],
    [
      { slots: { 'Bad-Name': {} } },
      ['w slots.Bad-Name: not the name of a slot; it is ignored; use up to 63 lower-case letters, digits and underscores'],
    ],
    [
      { slots: { l: { type: 'logical', plugin: 'pgoutput' } } },
      ["w slots.l: a logical slot without a database or plugin; it is ignored; write '{type: logical, database: DB, plugin: pgoutput}'"],
    ],
    [{ master_stop_timeout: 1 }, ["w master_stop_timeout: 'master_stop_timeout' is an old name; write 'primary_stop_timeout'"]],
    [
      { ttl: 10, loop_wait: 2, retry_timeout: 3 },
      [
        'w ttl: 10 s: leadership ends when etcd, the network or this machine stalls for about 10 s; a member that runs Patroni uses 20; write 20 or more where stalls are likelier than failures',
      ],
    ],
    [
      { ttl: 30, retry_timeout: 2 },
      ['w retry_timeout: 2 s: one slow answer of etcd may already end leadership; a member that runs Patroni uses 3; write 3 or more'],
    ],
  ])('%j', (raw, expected) => {
    expect(told(raw)).toEqual(expected);
  });

  it('leaves out only what is wrong', () => {
    const { dynamic } = resolveDynamic({
      postgresql: { parameters: { work_mem: [1], shared_buffers: '1GB' }, pg_hba: ['a', {}, 'b'], pg_ctl_timeout: 'x' },
    });
    expect(dynamic.postgresql).toEqual({ parameters: { shared_buffers: '1GB' }, pg_hba: ['a', 'b'] });
  });
});

describe('fitTiming', () => {
  it.each([
    [
      { ttl: 30, loop_wait: 10, retry_timeout: 10 },
      { ttl: 30, loop_wait: 10, retry_timeout: 10 },
    ],
    [
      { ttl: 20, loop_wait: 10, retry_timeout: 8 },
      { ttl: 20, loop_wait: 4, retry_timeout: 8 },
    ],
    [
      { ttl: 20, loop_wait: 10, retry_timeout: 10 },
      { ttl: 20, loop_wait: 1, retry_timeout: 9 },
    ],
    [
      { ttl: 3, loop_wait: 10, retry_timeout: 10 },
      { ttl: 3, loop_wait: 1, retry_timeout: 1 },
    ],
    [
      { ttl: 0, loop_wait: 0, retry_timeout: -4 },
      { ttl: 3, loop_wait: 1, retry_timeout: 1 },
    ],
  ])('%j', (wanted, expected) => {
    expect(fitTiming(wanted).timing).toEqual(expected);
  });

  it('always leaves room, changes nothing that fits, and says so when it does', () => {
    const seconds = fc.integer({ min: -10, max: 200 });
    fc.assert(
      fc.property(seconds, seconds, seconds, (ttl, loop_wait, retry_timeout) => {
        const wanted = { ttl, loop_wait, retry_timeout };
        const { timing, findings } = fitTiming(wanted);
        expect(timing.loop_wait + 2 * timing.retry_timeout).toBeLessThanOrEqual(timing.ttl);
        expect(Math.min(timing.ttl - 3, timing.loop_wait - 1, timing.retry_timeout - 1)).toBeGreaterThanOrEqual(0);
        if (JSON.stringify(timing) !== JSON.stringify(wanted)) expect(findings.length).toBeGreaterThan(0);
        expect(fitTiming(timing).timing).toEqual(timing);
      }),
    );
  });
});

it('never throws, and what it yields is itself sound', () => {
  const names = fc.constantFrom(
    'ttl',
    'loop_wait',
    'retry_timeout',
    'pause',
    'slots',
    'ignore_slots',
    'postgresql',
    'parameters',
    'max_connections',
    'wal_keep_size',
    'wal_level',
    'pg_hba',
    'basebackup',
    'synchronous_mode',
    'standby_cluster',
    'host',
    'permanent_slots',
    '__proto__',
    'x',
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, true, 0, 5, -1, 1e300, 10n ** 30n, '', 'on', '30s', 'quorum'),
      fc.array(tie('value'), { maxLength: 2 }),
      tie('map'),
    ),
    map: fc.dictionary(names, tie('value'), { maxKeys: 5 }),
  }));
  fc.assert(
    fc.property(tree['map'] as fc.Arbitrary<JsonObject>, (raw) => {
      const { dynamic } = resolveDynamic(raw);
      expect(dynamic.loopWaitSeconds + 2 * dynamic.retryTimeoutSeconds).toBeLessThanOrEqual(dynamic.ttlSeconds);
      expect(dynamic.raw).toBe(raw);
    }),
    { numRuns: 500 },
  );
});

describe('validateDynamicPatch', () => {
  const paths = (patch: JsonObject, current?: JsonObject) =>
    validateDynamicPatch(patch, current).map((problem) => `${problem.severity[0]} ${problem.path}`);

  it.each<[JsonObject, JsonObject | undefined, string[]]>([
    [{ ttl: 40 }, undefined, []],
    [{ ttl: null }, { ttl: 'broken' }, []],
    [{ ttl: 'x' }, {}, ['e ttl']],
    [{ pause: true }, { ttl: 'broken', bogus: 1 }, []],
    [{ loop_wait: 25 }, { ttl: 30 }, ['w ttl']],
    [{ postgresql: { parameters: { max_connections: 5 } } }, {}, ['e postgresql.parameters.max_connections']],
    [{ postgresql: { parameters: { work_mem: '4MB' } } }, { postgresql: { parameters: { max_connections: 5 } } }, []],
    [{ postgresql: { pg_hba: ['local all all peer', {}] } }, {}, ['e postgresql.pg_hba.1']],
    [{ postgresql: 5 }, {}, ['e postgresql']],
    [{ postgresql: { parametrs: {} } }, {}, ['w postgresql.parametrs']],
    [{ master_start_timeout: 'x' }, {}, ['w master_start_timeout', 'e primary_start_timeout']],
    [{ standby_cluster: { host: 'h' } }, {}, []],
    [{ standby_cluster: { host: 'h', prot: 1 } }, {}, ['w standby_cluster.prot']],
    [{ standby_cluster: { port: 'x' } }, { standby_cluster: { host: 'h' } }, ['e standby_cluster.port']],
    [{ standby_cluster: null }, { standby_cluster: { host: 'h' } }, []],
  ])('%j over %j', (patch, current, expected) => {
    expect(paths(patch, current)).toEqual(expected);
  });
});
