import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { ClusterView } from '../../core/cluster.ts';
import type { KeyValue } from './answers.ts';
import { ClusterReader, decodeCluster, parseInstant } from './decode.ts';
import { encodeFailover, encodeStatus, encodeSync } from './encode.ts';
import { encodeText } from './keys.ts';

const PREFIX = '/service/demo/';

function kv(key: string, value: string, more: Partial<KeyValue> = {}): KeyValue {
  return { key: encodeText(PREFIX + key), value: encodeText(value), mod_revision: '7', create_revision: '3', ...more };
}

const decode = (values: Record<string, string>): ClusterView =>
  decodeCluster(
    PREFIX,
    Object.entries(values).map(([key, value]) => kv(key, value)),
    '42',
  );

const member = (value: string) => decode({ 'members/pg-a': value }).members[0]!;

describe('decodeCluster', () => {
  it('reads the sample of docs/wire.md', () => {
    const view = decodeCluster(
      PREFIX,
      [
        kv('initialize', '7301234567890123456'),
        kv('leader', 'pg-a', { lease: '7587862094923112' }),
        kv(
          'members/pg-b',
          '{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica","version":"4.1.4","tags":{"clonefrom":true},"xlog_location":83886080,"replay_lsn":83886080,"receive_lsn":83886081,"replication_state":"streaming","timeline":2}',
          { lease: '5' },
        ),
        kv('members/pg-a', '{"state":"running","role":"master","checkpoint_after_promote":false,"pause":true}'),
        kv('config', '{"ttl":30,"postgresql":{"parameters":{"max_connections":200}}}'),
        kv('status', '{"optime":83886080,"slots":{"pg_b":83886080,"pg_a":9223372036854775809},"retain_slots":["pg_a","pg_b"]}'),
        kv('history', '[[1,50331808,"no recovery target specified","2030-01-02T03:04:05.678901+00:00","pg-a"],[2,9007199254740993,"x"]]'),
        kv('sync', '{"leader":"pg-a","quorum":1,"sync_standby":"pg-c, pg-b"}'),
        kv('failover', '{"leader":"pg-a","member":"pg-b","scheduled_at":"2030-01-02T04:00:00+00:00"}'),
        kv('failsafe', '{"pg-a":"http://10.0.0.1:8008/patroni"}'),
      ],
      '42',
    );
    expect(view).toMatchObject({
      revision: '42',
      initialize: '7301234567890123456',
      leader: { name: 'pg-a', leaseId: '7587862094923112', modRevision: '7' },
      config: { data: { ttl: 30, postgresql: { parameters: { max_connections: 200 } } }, modRevision: '7' },
      status: { optime: 83886080n, slots: { pg_b: 83886080n, pg_a: 9223372036854775809n }, retainSlots: ['pg_a', 'pg_b'] },
      sync: { leader: 'pg-a', quorum: 1, standbys: ['pg-b', 'pg-c'], modRevision: '7' },
      failover: { leader: 'pg-a', candidate: 'pg-b', scheduledAtMs: 1893556800000, scheduledAt: '2030-01-02T04:00:00+00:00' },
      failsafe: { map: { 'pg-a': 'http://10.0.0.1:8008/patroni' }, modRevision: '7' },
    });
    expect(view.history).toEqual([
      {
        timeline: 1,
        switchLsn: 50331808n,
        reason: 'no recovery target specified',
        timestamp: '2030-01-02T03:04:05.678901+00:00',
        newLeader: 'pg-a',
      },
      { timeline: 2, switchLsn: 9007199254740993n, reason: 'x' },
    ]);
    const [a, b] = view.members;
    expect(a).toMatchObject({
      name: 'pg-a',
      leaseId: null,
      role: 'primary',
      checkpointAfterPromote: false,
      pause: true,
      lsn: null,
      tags: {},
    });
    expect(b).toMatchObject({
      leaseId: '5',
      connUrl: 'postgres://10.0.0.2:5432/postgres',
      apiUrl: 'http://10.0.0.2:8008/patroni',
      state: 'running',
      role: 'replica',
      lsn: 83886080n,
      replayLsn: 83886080n,
      receiveLsn: 83886081n,
      replicationState: 'streaming',
      timeline: 2,
      checkpointAfterPromote: true,
      tags: { clonefrom: true },
    });
  });

  it('finds nothing in an empty range, and passes over foreign keys', () => {
    const empty: ClusterView = {
      ...{
        revision: '42',
        initialize: null,
        config: null,
        leader: null,
        members: [],
        failover: null,
        sync: null,
        history: [],
        status: null,
        failsafe: null,
      },
    };
    expect(decode({})).toEqual(empty);
    const foreign = [{ key: encodeText('/service/other/leader'), value: encodeText('x') }, kv('members/a/b', '{}'), kv('else', '{}')];
    expect(decodeCluster(PREFIX, foreign, '42')).toEqual(empty);
  });

  it('distinguishes an empty initialize key from none', () => {
    const bare: KeyValue = { key: encodeText(`${PREFIX}initialize`), mod_revision: '7' };
    expect(decodeCluster(PREFIX, [bare], '42').initialize).toBe('');
  });

  it('sorts members by code point', () => {
    const names = ['b', 'B', '\u{1f418}', '\uff5e', 'a10', 'a2'];
    const view = decode(Object.fromEntries(names.map((name) => [`members/${name}`, '{}'])));
    expect(view.members.map((one) => one.name)).toEqual(['B', 'a10', 'a2', 'b', '\uff5e', '\u{1f418}']);
  });

  it.each(['', 'x', '[1]', '"text"', 'null', '{"ttl":'])("reads config '%s' as none", (text) =>
    expect(decode({ config: text }).config).toBeNull(),
  );

  it.each([
    ['{}', null],
    ['', null],
    ['null', null],
    ['[]', null],
    ['12', null],
    ['{"leader":""}', null],
    ['{"leader":', null],
    [':', null],
    ['{"member":"b"}', { leader: null, candidate: 'b' }],
    ['{"leader":"a"}', { leader: 'a', candidate: null }],
    ['a:b', { leader: 'a', candidate: 'b' }],
    ['a:', { leader: 'a', candidate: null }],
    [':b', { leader: null, candidate: 'b' }],
    ['a', { leader: 'a', candidate: null }],
    ['{"leader":"a","scheduled_at":"tomorrow"}', null],
    ['{"leader":"a","scheduled_at":null}', { leader: 'a', scheduledAtMs: null, scheduledAt: null }],
  ])("reads failover '%s'", (text, request) => {
    const { failover } = decode({ failover: text });
    if (request === null) expect(failover).toBeNull();
    else expect(failover).toMatchObject({ ...request, modRevision: '7' });
  });

  it.each([
    ['{"leader":"a","quorum":2,"sync_standby":" b ,a,,c,b"}', { leader: 'a', quorum: 2, standbys: ['b', 'c'] }],
    ['{"leader":"A","quorum":0,"sync_standby":"a,b"}', { leader: 'A', quorum: 0, standbys: ['b'] }],
    ['{"leader":null,"quorum":2,"sync_standby":"b"}', { leader: null, quorum: 0, standbys: ['b'] }],
    ['{"leader":"a","quorum":null,"sync_standby":null}', { leader: 'a', quorum: 0, standbys: [] }],
    ['{"leader":"a","quorum":-1}', { leader: 'a', quorum: 0, standbys: [] }],
    ['broken', { leader: null, quorum: 0, standbys: [] }],
  ])("reads sync '%s' and keeps its revision", (text, sync) => expect(decode({ sync: text }).sync).toEqual({ ...sync, modRevision: '7' }));

  it.each([
    ['83886080', { optime: 83886080n, slots: {}, retainSlots: [] }],
    ['{"optime":"12"}', { optime: 12n, slots: {}, retainSlots: [] }],
    ['{"slots":"{\\"a\\":1}","retain_slots":"[\\"a\\"]"}', { optime: null, slots: { a: 1n }, retainSlots: ['a'] }],
    ['{"optime":-1,"slots":{"a":"x","b":1.5,"c":3},"retain_slots":[1,"a"]}', { optime: null, slots: { c: 3n }, retainSlots: ['a'] }],
    ['broken', { optime: null, slots: {}, retainSlots: [] }],
  ])("reads status '%s'", (text, status) => expect(decode({ status: text }).status).toEqual(status));

  it('prefers status to the older optime/leader', () => {
    expect(decode({ 'optime/leader': '5' }).status).toEqual({ optime: 5n, slots: {}, retainSlots: [] });
    expect(decode({ 'optime/leader': '5', status: '{"optime":6}' }).status!.optime).toBe(6n);
  });

  it('reads the readable part of a history', () => {
    expect(decode({ history: '[[1,2],"x",[0,1,"r"],[3,"4","r",null,""],[null]]' }).history).toEqual([
      { timeline: 1, switchLsn: 2n, reason: '' },
      { timeline: 3, switchLsn: 4n, reason: 'r' },
    ]);
    expect(decode({ history: '{}' }).history).toEqual([]);
  });

  it('never throws, whatever the values are', () => {
    const key = fc.constantFrom('initialize', 'config', 'leader', 'members/a', 'failover', 'sync', 'history', 'status', 'optime/leader');
    const value = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom('{"tags":[]}', '{"__proto__":1}', 'postgres://', '{"slots":{"__proto__":1}}'),
    );
    fc.assert(fc.property(fc.dictionary(key, value), (values) => void decode(values)));
  });
});

describe('a member', () => {
  it('reads the old form, a bare URL', () => {
    const old = member('postgres://10.0.0.1:5432/postgres?application_name=http://10.0.0.1:8008/patroni');
    expect(old).toMatchObject({
      connUrl: 'postgres://10.0.0.1:5432/postgres',
      apiUrl: 'http://10.0.0.1:8008/patroni',
      state: 'unknown',
      role: null,
    });
  });

  it('knows only the name of a member that it cannot read', () => {
    expect(member('{')).toMatchObject({ name: 'pg-a', connUrl: null, state: 'unknown', role: null, tags: {}, raw: {} });
  });

  it('reads roles and states of other versions as unknown', () => {
    expect(member('{"role":"king","state":"dreaming"}')).toMatchObject({ role: null, state: 'unknown', raw: { role: 'king' } });
    expect(member('{"role":"toString","state":"unknown"}')).toMatchObject({ role: null, state: 'unknown' });
  });

  it('reads positions beyond 2^53 exactly', () => {
    expect(member('{"xlog_location":18446744073709551615}').lsn).toBe(18446744073709551615n);
    expect(member('{"xlog_location":18446744073709551616}').lsn).toBeNull();
    expect(member('{"xlog_location":-1,"timeline":0}')).toMatchObject({ lsn: null, timeline: null });
  });

  it('reads tags by the rules of Python', () => {
    const tags =
      '{"nofailover":"false","noloadbalance":0,"nosync":null,"failover_priority":"2","sync_priority":"x","replicatefrom":"b","datacenter":"eu","__proto__":{"a":1}}';
    expect(Object.entries(member(`{"tags":${tags}}`).tags)).toEqual([
      ['nofailover', true],
      ['noloadbalance', false],
      ['failover_priority', 2],
      ['replicatefrom', 'b'],
      ['datacenter', 'eu'],
      ['__proto__', { a: 1 }],
    ]);
  });

  it('reads why a restart is pending', () => {
    const value =
      '{"pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"},"x":1},"scheduled_restart":{"schedule":"s"}}';
    expect(member(value)).toMatchObject({
      pendingRestart: true,
      pendingRestartReason: { max_connections: { old_value: '100', new_value: '200' } },
      scheduledRestart: { schedule: 's' },
    });
  });
});

describe('parseInstant', () => {
  it.each([
    ['2030-01-02T04:00:00+00:00', Date.UTC(2030, 0, 2, 4)],
    ['2030-01-02 04:00:00+02', Date.UTC(2030, 0, 2, 2)],
    ['2030-01-02T04:00-0530', Date.UTC(2030, 0, 2, 9, 30)],
    ['2030-01-02T04:00:00.123456Z', Date.UTC(2030, 0, 2, 4, 0, 0, 123)],
    ['2030-01-02T04:00:00', Date.UTC(2030, 0, 2, 4)],
    ['2030-13-02T04:00:00', null],
    ['now', null],
    ['', null],
  ])("'%s'", (text, instant) => expect(parseInstant(text)).toBe(instant));
});

describe('the written text', () => {
  it('has the order and form of Patroni', () => {
    expect(encodeFailover(null)).toBe('{}');
    expect(encodeFailover({ scheduled_at: '2030-01-02T04:00:00+00:00', member: 'pg-b', leader: 'pg-a' })).toBe(
      '{"leader":"pg-a","member":"pg-b","scheduled_at":"2030-01-02T04:00:00+00:00"}',
    );
    expect(encodeFailover({ leader: '', member: 'pg-b' })).toBe('{"member":"pg-b"}');
    expect(encodeSync({ leader: 'pg-a', quorum: 0, standbys: ['pg-c', 'pg-b', 'pg-c'] })).toBe(
      '{"leader":"pg-a","quorum":0,"sync_standby":"pg-b,pg-c"}',
    );
    expect(encodeSync({ leader: null, quorum: 0, standbys: [] })).toBe('{"leader":null,"quorum":0,"sync_standby":null}');
    expect(encodeStatus({ retain_slots: [], slots: { a: 2n ** 64n - 1n }, optime: 1 })).toBe(
      '{"optime":1,"slots":{"a":18446744073709551615}}',
    );
  });

  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => !text.includes(',') && text.trim() === text);

  it('is read back unchanged', () => {
    fc.assert(
      fc.property(name, fc.nat(9), fc.uniqueArray(name, { selector: (text) => text.toLowerCase() }), (leader, quorum, others) => {
        const standbys = others.filter((other) => other.toLowerCase() !== leader.toLowerCase());
        const { sync } = decode({ sync: encodeSync({ leader, quorum, standbys }) });
        expect({ ...sync, standbys: new Set(sync!.standbys) }).toEqual({ leader, quorum, standbys: new Set(standbys), modRevision: '7' });
      }),
    );
    fc.assert(
      fc.property(name, fc.option(name), (leader, candidate) => {
        const { failover } = decode({ failover: encodeFailover({ leader, ...(candidate === null ? {} : { member: candidate }) }) });
        expect(failover).toMatchObject({ leader, candidate });
      }),
    );
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.dictionary(name, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
        (optime, slots) => {
          const { status } = decode({ status: encodeStatus({ optime, slots }) });
          expect(status!.optime).toBe(optime);
          expect(Object.entries(status!.slots)).toEqual(Object.entries(slots).filter(([slot]) => slot !== '__proto__'));
        },
      ),
    );
  });
});

test('a reader that knows the keys from before sees what one sees that does not', () => {
  const keys = fc.constantFrom(
    'initialize',
    'config',
    'leader',
    'failover',
    'sync',
    'history',
    'status',
    'optime/leader',
    'members/a',
    'members/b',
    'other',
  );
  const values = fc.constantFrom(
    '',
    '{}',
    '5',
    'a',
    '{"leader":"a","sync_standby":"b"}',
    '{"optime":7}',
    '{"role":"primary"}',
    '[[1,5,"x"]]',
  );
  const store = fc.uniqueArray(fc.record({ key: keys, value: values, revision: fc.constantFrom('1', '2') }), {
    selector: ({ key }) => key,
  });
  fc.assert(
    fc.property(fc.array(store, { minLength: 2, maxLength: 6 }), (states) => {
      const reader = new ClusterReader(PREFIX);
      for (const state of states) {
        const kvs = state.map(({ key, value, revision }) => kv(key, value, { mod_revision: revision }));
        expect(reader.read(kvs, '9')).toEqual(decodeCluster(PREFIX, kvs, '9'));
      }
    }),
  );
});
