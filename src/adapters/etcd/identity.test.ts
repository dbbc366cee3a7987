import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { EtcdSettings } from '../../core/settings.ts';
import { ClusterIdentity } from './identity.ts';
import { type IdentityFile, identityFile, type KeptIdentity } from './identity-file.ts';
import { createEtcdDcs } from './store.ts';
import {
  type FakeMember,
  fakeMember,
  hanging,
  type Json,
  manualClock,
  realClock,
  recordingLog,
  type Script,
  settingsOf,
} from './testing.ts';

const closing: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

const CALL = { timeoutMs: 5000 };
/** Of a call that is refused for as long as it may ask. */
const REFUSED = { timeoutMs: 700 };
const [OURS, THEIRS] = ['1', '99'];
const CONFIRM = 'regent etcd-replaced /etc/regent.yml';

/** A member of the etcd with that cluster id. */
const of =
  (clusterId: string, more: Json = {}): Script =>
  (_path, _body, response) =>
    response.end(
      JSON.stringify({
        header: { cluster_id: clusterId, member_id: '2', raft_term: '2', revision: '9' },
        succeeded: true,
        ID: '7',
        TTL: '30',
        ...more,
      }),
    );

async function member(script: Script): Promise<FakeMember> {
  const fake = await fakeMember(script);
  closing.push(fake);
  return fake;
}

function inMemory(kept: KeptIdentity | null = null): IdentityFile & { kept: KeptIdentity | null; writable: boolean } {
  const file = {
    path: '/data/id',
    confirm: CONFIRM,
    kept,
    writable: true,
    read: () => file.kept,
    write: (next: KeptIdentity) => {
      if (file.writable) file.kept = next;
      return file.writable;
    },
  };
  return file;
}

function open(endpoints: readonly string[], identity: IdentityFile | null = null, more: Partial<EtcdSettings> = {}) {
  const log = recordingLog();
  const settings = settingsOf(endpoints, more);
  const dcs = createEtcdDcs({ settings, scope: 'demo', namespace: 'service', log, clock: realClock(), ...(identity ? { identity } : {}) });
  closing.push(dcs);
  return Object.assign(dcs, { log });
}

const known = (clusterId: string): KeptIdentity => ({ clusterId, replaces: null, endpoint: 'http://etcd1:2379' });
const writesTo = (fake: FakeMember) => fake.seen.filter(({ path }) => path !== '/maintenance/status').length;

describe('the etcd client', () => {
  it('reads, writes and renews nothing at another etcd than the one its data belong to, and reports it once', async () => {
    const other = await member(of(THEIRS));
    const dcs = open([other.endpoint], inMemory(known(OURS)));
    const unreachable = { code: 'DCS_UNREACHABLE', message: expect.stringContaining('another etcd') };
    await expect(dcs.read(REFUSED)).rejects.toMatchObject(unreachable);
    await expect(dcs.putMember('a', {}, null, REFUSED)).rejects.toMatchObject(unreachable);
    await expect(dcs.acquireLeader('a', '7', REFUSED)).rejects.toMatchObject(unreachable);
    await expect(dcs.keepAlive('7', REFUSED)).rejects.toMatchObject(unreachable);
    expect(writesTo(other), 'nothing but the question who it is').toBe(0);
    const told = dcs.log.lines.filter((line) => line.includes('is not used, because it is another one'));
    expect(told).toEqual([
      `etcd at ${other.endpoint} is not used, because it is another one: its cluster id is 63; this node's cluster lives in etcd 1, heard last at ` +
        `http://etcd1:2379. If etcd was made again or restored from a snapshot, confirm it on every node: ${CONFIRM}`,
    ]);
  });

  it('does not report what another etcd streams as its own events', async () => {
    const stream: Script = (path, body, response, request) => {
      if (path !== '/watch') return of(THEIRS)(path, body, response, request);
      response.write(`${JSON.stringify({ result: { header: { cluster_id: THEIRS, revision: '9' }, created: true } })}\n`);
    };
    const other = await member(stream);
    const dcs = open([other.endpoint], inMemory(known(OURS)));
    const keys: unknown[] = [];
    dcs.watch(({ key }) => keys.push(key));
    await expect(dcs.read(REFUSED)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(keys).toEqual([]);
  });

  it('never takes an advertised address of another etcd, when the configured one is away', async () => {
    const other = await member(of(THEIRS));
    const advertised = { members: [{ clientURLs: [other.endpoint] }] };
    const configured = await member(of(OURS, advertised));
    const dcs = open([configured.endpoint], null, { discover: true });
    // The first look at the list comes after a second.
    const listed = () => configured.seen.some(({ path }) => path === '/cluster/member/list');
    while (!listed()) {
      await dcs.read(CALL);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    configured.script = hanging;
    for (let i = 0; i < 3; i++) await expect(dcs.read(REFUSED)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(other.seen.length, 'it was asked who it is').toBeGreaterThan(0);
    expect(writesTo(other)).toBe(0);
    expect(dcs.log.lines.join()).toContain('correct --advertise-client-urls');
  });

  it('keeps to one of two clusters whose addresses are configured together', async () => {
    const [first, second] = [await member(of(OURS)), await member(of(THEIRS))];
    const dcs = open([first.endpoint, second.endpoint], inMemory());
    await dcs.read(CALL);
    first.script = hanging;
    await expect(dcs.read(REFUSED)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE', message: expect.stringContaining('another etcd') });
    expect(writesTo(second)).toBe(0);
    first.script = of(OURS);
    await dcs.read(CALL);
  });

  it('gives no password to another etcd', async () => {
    const other = await member(of(THEIRS, { token: 't' }));
    const dcs = open([other.endpoint], inMemory(known(OURS)), { username: 'regent', password: 'secret' });
    await expect(dcs.read(REFUSED)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(JSON.stringify(other.seen)).not.toContain('secret');
  });

  it('accepts the other one at run time once an operator has confirmed it, and no longer needs the one before', async () => {
    const other = await member(of(THEIRS));
    const file = inMemory(known(OURS));
    const dcs = open([other.endpoint], file);
    await expect(dcs.read(REFUSED)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    file.kept = { clusterId: THEIRS, replaces: OURS, endpoint: other.endpoint };
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await dcs.read(CALL)).revision).toBe('9');
    other.script = of(OURS);
    await expect(dcs.read(REFUSED)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
  });
});

describe('ClusterIdentity', () => {
  const at = (clusterId: string, more: object = {}) => ({
    endpoint: 'http://a:2379',
    clusterId,
    consensus: true,
    configured: true,
    ...more,
  });

  it('is decided by the first answer of a majority at a configured address', () => {
    const identity = new ClusterIdentity(manualClock(), recordingLog());
    expect(identity.refusal(at(THEIRS, { configured: false }))).not.toBeNull();
    expect(identity.refusal(at(THEIRS, { consensus: false }))).toBeNull();
    expect(identity.refusal(at(OURS))).toBeNull();
    expect(identity.refusal(at(THEIRS))).not.toBeNull();
    expect(identity.refusal(at(OURS, { configured: false }))).toBeNull();
  });

  it('is kept once the data are known to be of that cluster, and again when the file was removed', () => {
    const [clock, file] = [manualClock(), inMemory()];
    const identity = new ClusterIdentity(clock, recordingLog(), file);
    identity.refusal(at(OURS));
    expect(file.kept, 'not before').toBeNull();
    identity.bind();
    expect(file.kept).toEqual({ clusterId: OURS, replaces: null, endpoint: 'http://a:2379' });
    file.kept = known(THEIRS);
    clock.advance(10_000);
    identity.bind();
    expect(file.kept?.clusterId, 'a file of other data, not confirmed by anybody').toBe(OURS);
    expect(new ClusterIdentity(clock, recordingLog(), file).refusal(at(THEIRS))).not.toBeNull();
  });

  it('says once that it cannot be kept, and holds in memory', () => {
    const [clock, log, file] = [manualClock(), recordingLog(), inMemory()];
    file.writable = false;
    const identity = new ClusterIdentity(clock, log, file);
    identity.refusal(at(OURS));
    for (let i = 0; i < 3; i++) {
      identity.bind();
      clock.advance(10_000);
    }
    expect(log.lines.filter((line) => line.includes('could not be kept'))).toHaveLength(1);
    expect(identity.refusal(at(THEIRS))).not.toBeNull();
  });

  it('moves on without data, but only at a configured address, and when the one before has been silent', () => {
    const [clock, log] = [manualClock(), recordingLog()];
    const identity = new ClusterIdentity(clock, log);
    identity.refusal(at(OURS));
    clock.advance(14_000);
    expect(identity.refusal(at(THEIRS))).not.toBeNull();
    clock.advance(1000);
    expect(identity.refusal(at(THEIRS, { configured: false }))).not.toBeNull();
    expect(identity.refusal(at(THEIRS, { consensus: false }))).not.toBeNull();
    expect(identity.refusal(at(THEIRS))).toBeNull();
    expect(identity.refusal(at(OURS))).not.toBeNull();
  });

  it('says when the address is right again', () => {
    const log = recordingLog();
    const identity = new ClusterIdentity(manualClock(), log);
    for (const id of [OURS, THEIRS, OURS, OURS]) identity.refusal(at(id));
    expect(log.lines.filter((line) => line.includes('again')).at(-1)).toBe("etcd at http://a:2379 is the one of this node's cluster again");
  });
});

it('the file has what was written, and anything else counts as none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'regent-identity-'));
  try {
    const file = identityFile(folder, CONFIRM);
    expect(file.read()).toBeNull();
    expect(file.write({ clusterId: OURS, replaces: THEIRS, endpoint: null })).toBe(true);
    expect(identityFile(folder, CONFIRM).read()).toEqual({ clusterId: OURS, replaces: THEIRS, endpoint: null });
    expect(identityFile(join(folder, 'gone'), CONFIRM).write(known(OURS))).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
