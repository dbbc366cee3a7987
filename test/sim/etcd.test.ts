/** etcd with members that go away, a full database, and watches that break. */
import { expect, test } from 'vitest';
import { Gate, MachineClock, processClock, Simulation } from './clock.ts';
import { simDcs } from './dcs.ts';
import { Etcd, MEMBERS } from './etcd.ts';
import { Network } from './network.ts';
import { Rng } from './rng.ts';

function client() {
  const sim = new Simulation();
  const gate = new Gate(sim, null);
  const clock = processClock(sim, new MachineClock(sim, { bootMs: 1000, wallMs: 5000, rate: 1 }), gate, new Rng(1));
  const etcd = new Etcd(sim);
  const net = new Network(new Rng(3));
  net.onChange = () => sim.disturbed();
  return { sim, gate, etcd, net, dcs: simDcs({ sim, net, etcd, machine: 'a', gate, clock }) };
}

const answer = async (sim: Simulation, call: Promise<unknown>, ms = 3000): Promise<unknown> => {
  let told: unknown = 'nothing yet';
  call.then(
    (value) => {
      told = value;
    },
    (error: { readonly code?: string }) => {
      told = error.code;
    },
  );
  await sim.run(ms);
  return told;
};

test('one member away or cut off from the client: another answers; two away: none does, and no lease ends', async () => {
  const { sim, etcd, net, dcs } = client();
  const lease = etcd.grant(5);
  etcd.spoil(MEMBERS[0], 'down');
  net.cut('a', MEMBERS[1]);
  expect(await answer(sim, dcs.acquireLeader('a', lease, { timeoutMs: 2000 }))).toBe(true);
  etcd.spoil(MEMBERS[2], 'cut off');
  expect(await answer(sim, dcs.read({ timeoutMs: 2000 }))).toBe('DCS_UNREACHABLE');
  await sim.run(20_000);
  expect(etcd.get('leader')).not.toBeNull();
  etcd.mend(MEMBERS[2]);
  await sim.run(4000);
  // A new leader restarted it with its whole time.
  expect(etcd.get('leader')).not.toBeNull();
  await sim.run(2000);
  expect(etcd.get('leader')).toBeNull();
});

test('a copy that takes effect after its sender died finds the key as it was, or does nothing', async () => {
  const { sim, gate, etcd, net, dcs } = client();
  const [before, after] = [etcd.grant(60), etcd.grant(60)];
  etcd.put('leader', 'a', before);
  await answer(sim, dcs.read({ timeoutMs: 1000 }));
  net.slowRequests = { chance: 1, maxMs: 5000 };
  void dcs.releaseLeader('a', { timeoutMs: 10_000 });
  void dcs.attachLeader('a', before, { timeoutMs: 10_000 });
  gate.kill();
  // The next agent of that name.
  etcd.put('leader', 'a', after);
  await sim.run(10_000);
  expect(etcd.get('leader')?.leaseId).toBe(after);
});

test('a write whose answer was lost is known by its second copy', async () => {
  const { sim, etcd, net, dcs } = client();
  const lease = etcd.grant(60);
  etcd.put('leader', 'a', lease);
  await answer(sim, dcs.read({ timeoutMs: 1000 }));
  for (const call of [() => dcs.releaseLeader('a', { timeoutMs: 2000 }), () => dcs.writeConfig({ ttl: 20 }, null, { timeoutMs: 2000 })]) {
    net.lostReplies.set('a', 1);
    sim.after(300, () => net.lostReplies.clear());
    expect(await answer(sim, call())).toBeTruthy();
  }
  expect(etcd.get('leader')).toBeNull();
  expect(etcd.get('config')?.value).toBe('{"ttl":20}');
});

test('the configuration of a bootstrap never takes the place of one that is there', async () => {
  const { sim, etcd, dcs } = client();
  expect(await answer(sim, dcs.createConfig({ ttl: 20 }, { timeoutMs: 1000 }))).toBe(true);
  etcd.put('config', '{"standby_cluster":{"port":5432}}', null);
  expect(await answer(sim, dcs.createConfig({ ttl: 20 }, { timeoutMs: 1000 }))).toBe(false);
  expect(etcd.get('config')?.value).toBe('{"standby_cluster":{"port":5432}}');
});

test('a full database refuses writes that make it grow, and goes on with leases, reads and deletes', async () => {
  const { sim, etcd, dcs } = client();
  const lease = etcd.grant(10);
  etcd.put('leader', 'a', lease);
  etcd.full = true;
  expect(await answer(sim, dcs.writeStatus({ optime: 1n }, { timeoutMs: 1000 }))).toBe('DCS_REFUSED');
  expect(await answer(sim, dcs.keepAlive(lease, { timeoutMs: 1000 }))).toBe(10);
  expect(await answer(sim, dcs.releaseLeader('a', { timeoutMs: 1000 }))).toBe(true);
});

test('a watch on a member that is cut off from the others goes on at another one and misses nothing', async () => {
  const { sim, etcd, dcs } = client();
  const seen: Array<string | null> = [];
  const watch = dcs.watch(({ key }) => seen.push(key));
  await sim.run(100);
  etcd.spoil(MEMBERS[0], 'cut off');
  etcd.put('config', '{}', null);
  etcd.put('leader', 'a', null);
  await sim.run(100);
  expect(seen).toEqual([null]);
  await sim.run(4000);
  expect(seen).toEqual([null, 'config', 'leader']);
  etcd.mend(MEMBERS[0]);
  await sim.run(1000);
  expect(seen).toHaveLength(3);
  watch.close();
});

test('a watch tells that something may have been missed only where the changes not told are compacted', async () => {
  const { sim, etcd, net, dcs } = client();
  const seen: Array<string | null> = [];
  dcs.watch(({ key }) => seen.push(key));
  await sim.run(100);
  etcd.breakWatches();
  etcd.put('config', '{}', null);
  await sim.run(1000);
  expect(seen).toEqual([null, 'config']);
  net.cut('a', 'etcd');
  etcd.put('leader', 'a', null);
  etcd.put('config', '{}', null);
  etcd.breakWatches();
  net.healAll();
  await sim.run(20_000);
  expect(seen).toEqual([null, 'config', null]);
});
