import { expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { type FactsRow, factsQuery, readFacts } from './facts-query.ts';

const primary: FactsRow = {
  in_recovery: false,
  primary_timeline: 3,
  flush_lsn: '1/A0',
  receive_lsn: null,
  replay_lsn: null,
  replay_paused: false,
  control: null,
  replayed_timestamp: null,
  receiver: null,
  walsenders: null,
  slots: null,
  synchronous_standby_names: 'ANY 1 (b)',
  synchronous_commit: 'on',
  primary_conninfo: '',
  primary_slot_name: '',
  restore_command: '',
  postmaster_start_time: '2026-11-22 21:31:05.506336+00:00',
  conf_load_time: 'x',
};
const receiver = {
  status: 'streaming',
  received_tli: 4,
  slot_name: 'b',
  conninfo: 'host=a',
  sender_host: '10.0.0.1',
  sender_port: 5432,
  latest_end_lsn: '2/0',
  written_lsn: '2/30',
};

test('a primary: its walsenders and slots', () => {
  const facts = readFacts(
    {
      ...primary,
      walsenders: [
        {
          pid: 7,
          usename: 'replicator',
          application_name: 'b',
          client_addr: null,
          state: 'streaming',
          sync_state: 'quorum',
          sync_priority: 1,
          write_lsn: '1/90',
          flush_lsn: '1/80',
          replay_lsn: null,
          reply_time: '2026-11-22T20:00:00.5+00:00',
        },
      ],
      slots: [
        {
          name: 's',
          type: 'logical',
          active: true,
          restart_lsn: '1/0',
          confirmed_flush_lsn: '1/8',
          xmin: null,
          plugin: 'pgoutput',
          database: 'app',
          wal_status: 'reserved',
          failover: true,
        },
      ],
    },
    170_002,
  );
  expect(facts).toMatchObject({
    inRecovery: false,
    timeline: 3,
    flushLsn: parseLsn('1/A0'),
    receiveLsn: null,
    replayLsn: null,
    receiver: null,
  });
  expect(facts.replication).toEqual([
    {
      pid: 7,
      usename: 'replicator',
      applicationName: 'b',
      clientAddr: null,
      state: 'streaming',
      syncState: 'quorum',
      syncPriority: 1,
      writeLsn: parseLsn('1/90'),
      flushLsn: parseLsn('1/80'),
      replayLsn: null,
      replyTime: '2026-11-22T20:00:00.5+00:00',
    },
  ]);
  expect(facts.slots).toMatchObject([
    { name: 's', type: 'logical', active: true, restartLsn: parseLsn('1/0'), database: 'app', failover: true },
  ]);
});

test('a standby: what it received is the greater of flushed and written', () => {
  const row = { ...primary, in_recovery: true, primary_timeline: null, flush_lsn: null, receive_lsn: '2/10', replay_lsn: '2/8', receiver };
  expect(readFacts(row, 150_000)).toMatchObject({ timeline: 4, flushLsn: null, receiveLsn: parseLsn('2/30'), replayLsn: parseLsn('2/8') });
});

test('a walreceiver that has heard nothing yet does not tell the timeline', () => {
  const row = { ...primary, in_recovery: true, primary_timeline: null, receiver: { ...receiver, latest_end_lsn: null } };
  expect(readFacts(row, 150_000).timeline).toBeNull();
});

test('a standby without walreceiver tells the latest checkpoint of its control file', () => {
  const standby = { ...primary, in_recovery: true, primary_timeline: null, flush_lsn: null };
  const control = { timeline: 3, checkpoint_timeline: 2, checkpoint_lsn: '2/8' };
  expect(readFacts({ ...standby, control }, 150_018).checkpoint).toEqual({ timeline: 2, checkpointLsn: parseLsn('2/8') });
  expect(readFacts({ ...standby, receiver }, 150_018).checkpoint).toBeUndefined();
});

test('columns that 17 brought are asked of 17 only', () => {
  expect(factsQuery(160_009)).not.toContain('s.failover');
  expect(factsQuery(170_000)).toContain('s.failover');
});

test('a walreceiver that is only connecting may bring more, also while replay is paused', () => {
  const row = { ...primary, in_recovery: true, primary_timeline: null, flush_lsn: null, receive_lsn: '2/9', replay_lsn: '2/8' };
  const connecting = { pid: 7, age_ms: 3 };
  expect(readFacts({ ...row, waits_for_wal: true, connecting }, 150_018).replaying).toBe(true);
  expect(readFacts({ ...row, waits_for_wal: true, connecting: null }, 150_018).replaying).toBeUndefined();
  expect(readFacts({ ...row, replay_paused: true, waits_for_wal: false, connecting }, 150_018).replaying).toBe(true);
  // The startup process has asked for one, and pg_stat_activity may not show it yet.
  expect(factsQuery(150_018)).not.toContain('RecoveryWalStream');
});

test('a standby without walreceiver has a final position only once it waits for more WAL', () => {
  const row = { ...primary, in_recovery: true, primary_timeline: null, flush_lsn: null, replay_lsn: '2/8' };
  expect(readFacts({ ...row, waits_for_wal: false }, 150_018).replaying).toBe(true);
  expect(readFacts({ ...row, waits_for_wal: true }, 150_018).replaying).toBeUndefined();
  // Paused: all that is on the disk was received in this life, or it had not come to the end of
  // that before.
  expect(readFacts({ ...row, receive_lsn: '2/9', replay_paused: true, waits_for_wal: false }, 150_018).replaying).toBeUndefined();
  expect(readFacts({ ...row, receive_lsn: null, replay_paused: true, waits_for_wal: false }, 150_018).replaying).toBe(true);
  expect(readFacts({ ...row, receive_lsn: '2/9', waits_for_wal: false }, 150_018).replaying).toBe(true);
  expect(readFacts({ ...row, waits_for_wal: null, receiver }, 150_018).replaying).toBeUndefined();
  expect(readFacts({ ...primary, waits_for_wal: null }, 150_018).replaying).toBeUndefined();
});
