/**
 * What was promised to clients, kept apart from the agents. For every branch of WAL it is the last
 * commit that was acknowledged while synchronous replication was in force there. Since WAL is kept
 * as a prefix, that one covers all before it.
 */
import { mayLead, type SyncKey } from '../../../src/core/cluster.ts';
import { lagBytes } from '../../../src/core/units.ts';
import type { Acknowledged } from '../clients.ts';
import type { Stored } from '../etcd.ts';
import type { Machine } from '../machine.ts';
import type { ServerProcess } from '../postgres/process.ts';
import type { SimServer } from '../server.ts';
import { type Branch, isPrefix, reachOn } from '../wal.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

export const has = (server: SimServer, commit: Acknowledged): boolean => {
  const reach = reachOn(commit.branch, server.position);
  return reach !== null && reach >= commit.lsn;
};

export class Promises {
  readonly #world: World;
  readonly #report: Report;
  readonly #last = new Map<Branch, Acknowledged>();
  /** Branches that an operator's failover left behind, whatever is acknowledged on them after. */
  readonly #givenUp = new Set<Branch>();
  /**
   * Servers whose acknowledgements count: /sync has named them as leader since they opened for
   * writes.
   */
  readonly #bound = new Map<string, ServerProcess>();
  /** Every acknowledgement counts, whatever /sync says: for tests without a policy. */
  everything = false;
  #read: { readonly stored: Stored | null; readonly sync: SyncKey | null } | null = null;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
    world.clients.onAcknowledged.add((commit) => this.#acknowledged(commit));
  }

  /** Copies that the policy asks for are on disks from here on. */
  #acknowledged(commit: Acknowledged): void {
    const { server } = this.#world.node(commit.node);
    const sync = this.#sync();
    if (sync?.leader === commit.node && server.process !== null) this.#bound.set(commit.node, server.process);
    if (!this.everything && this.#bound.get(commit.node) !== server.process) return;
    this.#lapse();
    if (!this.everything && this.#world.orders.mode === 'off') return;
    if (this.#givenUp.has(commit.branch)) return;
    const isNew = !this.#last.has(commit.branch);
    this.#last.set(commit.branch, commit);
    const { systemId } = server;
    const initialize = this.#world.etcd.get('initialize')?.value ?? '';
    if (initialize !== systemId && /^\d{10,}$/.test(initialize))
      this.#report('S17', `${commit.node} acknowledges commits of system ${systemId}, the cluster is ${initialize}`);
    if (isNew) this.checkTerms();
    if (sync?.leader === commit.node) this.#checkElectors(sync, commit);
  }

  /**
   * Synchronous mode may be off for a moment in which nothing is acknowledged: what was promised
   * before is not kept after it either.
   */
  policyChanged(): void {
    this.#lapse();
  }

  /** The published policy changed. */
  syncChanged(): void {
    const sync = this.#sync();
    if (sync === null) {
      this.#lapse();
      this.#bound.clear();
      return;
    }
    if (sync.leader === null) return;
    const { server } = this.#world.node(sync.leader);
    // Should it not get as far as opening, nobody can tell any more that others had more.
    this.#giveUpFor(server);
    const commit = this.#last.get(server.position.branch);
    if (commit !== undefined && this.#bound.get(sync.leader) === server.process) this.#checkElectors(sync, commit);
  }

  /** S8: those who could elect a successor without any of them having the commit are too few. */
  #checkElectors(sync: SyncKey, commit: Acknowledged): void {
    if (this.#world.orders.mode === 'off') return;
    const { systemId } = this.#world.node(commit.node).server;
    const without = this.#world.machines.filter(
      ({ name, server }) =>
        (name === sync.leader || sync.standbys.includes(name)) &&
        server.dir === 'valid' &&
        !server.forgetful &&
        server.systemId === systemId &&
        !has(server, commit),
    );
    if (without.length < sync.quorum + 1) return;
    const names = without.map(({ name }) => name).join(', ');
    this.#report(
      'S8',
      `${names} could lead by /sync (leader ${sync.leader}, quorum ${sync.quorum}, ${sync.standbys.join(', ')}) without the commit at ${commit.lsn} that ${commit.node} acknowledged under '${commit.rule}'`,
    );
  }

  /** S1: a server that opens for writes has all of it. */
  checkOpened(server: SimServer): void {
    this.#lapse();
    // One that is being made has nothing yet, and is not this cluster's until it is published.
    if (server.dir !== 'valid') return;
    this.#giveUpFor(server);
    for (const [branch, commit] of this.#last) {
      if (has(server, commit)) continue;
      const missing = this.#world.clients.missingOn(this.#world.node(server.name));
      const first = missing.find((other) => other.branch === branch) ?? commit;
      this.#report(
        'S1',
        `${server.name} opens without acknowledged commits (${missing.length}), of which the first was written on ${first.node} at ${first.lsn} ` +
          `under '${first.rule}' and acknowledged at ${first.at.toFixed(1)}`,
      );
    }
  }

  /**
   * An operator's failover by name may make a leader of a node that lacks commits. They are given
   * up, and so is what others acknowledge after (in a pause no agent stops them).
   */
  #giveUpFor(server: SimServer): void {
    if (!this.#world.orders.overrides(server.name)) return;
    for (const [branch, commit] of [...this.#last]) {
      const lacks = !has(server, commit);
      if (lacks || branch !== server.position.branch) this.#givenUp.add(branch);
      if (lacks) this.#last.delete(branch);
    }
  }

  /**
   * The operator has switched it off: from here on it is asynchronous, and what was promised before
   * is not kept by anybody any more.
   */
  #lapse(): void {
    if (this.#world.orders.mode !== 'off' || this.everything) return;
    this.#last.clear();
    this.#bound.clear();
  }

  /** S12: what this node had is somewhere else as well. Called before its directory goes. */
  checkRemoval(server: SimServer): void {
    for (const commit of this.#last.values()) {
      if (server.dir === 'missing' || !has(server, commit) || this.elsewhere(commit, server)) continue;
      this.#report('S12', `${server.name} gives up the only copy of the commit at ${commit.lsn}, acknowledged by ${commit.node}`);
    }
  }

  elsewhere(commit: Acknowledged, not: SimServer): boolean {
    return this.#world.machines.some(({ server }) => server !== not && server.dir === 'valid' && has(server, commit));
  }

  /** Whether the cluster could get over the loss of that disk, as far as its policy goes. */
  canLose(machine: Machine): boolean {
    // A take-over that counts on its promise may be on its way, and the promise goes with the disk.
    if (machine.server.fence !== null) return false;
    for (const commit of this.#last.values()) if (has(machine.server, commit) && !this.elsewhere(commit, machine.server)) return false;
    const { systemId } = machine.server;
    const standbys = this.#world.machines.filter(
      ({ server }) =>
        server !== machine.server && server.dir === 'valid' && !server.forgetful && server.systemId === systemId && server.inRecovery,
    );
    const most = this.#world.orders.maximumLagBytes;
    const near = standbys.filter(
      ({ server }) => this.#succeeds(server, machine.server) && lagBytes(machine.server.position.lsn, server.position.lsn) <= most,
    );
    const others = near.some(({ tags }) => mayLead(tags)) ? near : [];
    const sync = this.#sync();
    if (sync === null) return this.#world.orders.mode === 'off' && others.length > 0;
    // A word of its own may be on its way, by which nobody else may lead.
    if (this.#world.net.slowRequests.chance > 0) return false;
    // It is about to write that nobody but itself may lead next, or has: the request is on its way.
    if (this.#world.holder === machine.name && sync.leader !== machine.name) return false;
    const able = others.filter(({ name }) => sync.leader === name || sync.standbys.includes(name));
    // The vote of one that is ahead, and may not lead itself, is no vote for the others.
    const votesFor = (successor: Machine) => able.filter(({ server }) => server.position.lsn <= successor.server.position.lsn).length;
    return able.some((successor) => mayLead(successor.tags) && votesFor(successor) >= sync.quorum + 1);
  }

  /**
   * On the same timeline, because agents wait for a member that began a later one, or for an
   * operator's word. Who only follows is not needed for that.
   */
  #succeeds(server: SimServer, lost: SimServer): boolean {
    const leads = this.#world.leader?.server;
    if (leads !== undefined && leads !== lost) return isPrefix(server.position, leads.position);
    return server.position.branch === lost.position.branch && isPrefix(server.position, lost.position);
  }

  /** S3: a number means one timeline only, where commits on it were promised. */
  checkTerms(): void {
    const seen = new Map<number, Branch>();
    for (const branch of this.#last.keys()) {
      const other = seen.get(branch.timeline);
      if (other !== undefined && other !== branch)
        this.#report('S3', `commits were acknowledged on two timelines of the number ${branch.timeline}`);
      seen.set(branch.timeline, branch);
    }
  }

  /**
   * The policy as published. Asked with every acknowledgement, so it is read from etcd only after
   * it was written again.
   */
  #sync(): SyncKey | null {
    const { etcd } = this.#world;
    const stored = etcd.get('sync');
    if (this.#read?.stored !== stored) this.#read = { stored, sync: etcd.view().sync };
    return this.#read.sync;
  }
}
