import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aReplicaStatus, aStandbySql, aStatus, aView, someSettings } from '../../test/fixtures/agent.ts';
import { parseJson, stringifyDefault } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import { readPeerBody } from './peer-body.ts';
import { statusBody } from './status-body.ts';

test('a peer reads an agent’s facts as the agent wrote them', () => {
  const read = (status: ReturnType<typeof aStatus>) =>
    readPeerBody(status.name, parseJson(stringifyDefault(statusBody(status, aView(), someSettings()))));
  expect(read(aStatus())).toEqual({
    name: 'pg-1',
    state: 'running',
    role: 'primary',
    inRecovery: false,
    lsn: 83886176n,
    replayLsn: null,
    timeline: 3,
    tags: {},
    watchdogFailed: false,
    systemIdentifier: aStatus().systemIdentifier,
  });
  expect(read(aReplicaStatus({ tags: { nofailover: true }, watchdogFailed: true }))).toMatchObject({
    role: 'replica',
    inRecovery: true,
    lsn: 83886176n,
    replayLsn: 83886080n,
    tags: { nofailover: true },
    watchdogFailed: true,
  });
});

test('an old Patroni says wal and master', () => {
  const body = parseJson('{"state": "running", "role": "master", "wal": {"location": 18446744073709551615}, "timeline": 7}');
  expect(readPeerBody('x', body)).toMatchObject({ role: 'primary', inRecovery: false, lsn: 18446744073709551615n, timeline: 7 });
});

test('a standby that has received nothing counts by what it replayed; zeros are unknown', () => {
  const standby = (wal: object) => readPeerBody('x', { role: 'replica', xlog: { ...wal } });
  expect(standby({ received_location: null, replayed_location: 5 })).toMatchObject({ inRecovery: true, lsn: 5n });
  expect(standby({ received_location: 0, replayed_location: 0 })).toMatchObject({ lsn: null, replayLsn: null });
});

test('a standby could still be sent WAL while it says so, or has not seen that no member leads', () => {
  const attached = (wal: object, more: object) =>
    readPeerBody('x', { role: 'replica', xlog: { replayed_location: 5, ...wal }, ...more })?.attached;
  expect(attached({}, { cluster_unlocked: true })).toBeUndefined();
  expect(attached({ attached: true }, { cluster_unlocked: true })).toBe(true);
  expect(attached({}, {})).toBe(true);
  expect(readPeerBody('x', { role: 'primary', xlog: { location: 5 } })?.attached).toBeUndefined();
});

test('an agent’s facts about its WAL are read from their present place, from their former one, and from an older agent', () => {
  const own = { attached: true, clusterUnlocked: true, restored: true, strayed: true, timelineFingerprint: 'a1b2' };
  const wanted = {
    attached: true,
    restored: true,
    strayed: true,
    replaying: true,
    timelineFingerprint: 'a1b2',
    lsn: 83886176n,
    replayLsn: 83886080n,
  };
  const told = statusBody(aReplicaStatus({ sql: aStandbySql({ replaying: true }), ...own }), aView(), someSettings());
  const { name } = aReplicaStatus();
  expect(readPeerBody(name, told)).toMatchObject(wanted);
  // Its address may have become another member's.
  expect(readPeerBody('x', told)).toBeNull();
  const { regent, xlog, ...body } = told;
  expect(readPeerBody(name, { ...body, xlog: { ...(xlog as JsonObject), ...(regent as JsonObject) } })).toMatchObject(wanted);
  expect(readPeerBody(name, { ...body, xlog: xlog!, wal: { ...(xlog as JsonObject), ...(regent as JsonObject) } })).toMatchObject(wanted);
});

test('a body without WAL is no answer', () => {
  expect(readPeerBody('x', { state: 'stopped', role: 'replica' })).toBeNull();
  expect(readPeerBody('x', [])).toBeNull();
});

test('no body makes it throw', () => {
  fc.assert(
    fc.property(
      fc.record({ xlog: fc.dictionary(fc.constantFrom('location', 'received_location', 'replayed_location'), fc.jsonValue()) }),
      (body) => {
        readPeerBody('x', parseJson(JSON.stringify(body)));
      },
    ),
  );
});
