/**
 * S11: clients of a primary that was started again see what recovery brought back only once whoever
 * may lead next has it.
 */
import type { SimServer } from '../server.ts';
import { reachOn } from '../wal.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

/** So long an agent waits where the mode is not strict; its clock may run fast. */
const PATIENCE_MS = 9500;
const PAUSE_KNOWN_MS = 5000;

export class Admissions {
  readonly #world: World;
  readonly #report: Report;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  /** By the copies on disks, whatever walsenders have told. */
  checkOpened(server: SimServer): void {
    const end = server.process?.recovered ?? null;
    const { sync } = this.#world.etcd.view();
    const { orders, sim } = this.#world;
    if (end === null || sync === null || sync.leader !== server.name || server.dir !== 'valid') return;
    if (orders.mode === 'off' || this.#world.node(server.name).believesPaused(PAUSE_KNOWN_MS)) return;
    if (!orders.strict && sim.now - end.atMs >= PATIENCE_MS) return;
    // Its agent cannot see who has confirmed it, and does not keep clients out for ever.
    if (server.lockedOut) return;
    const missing = sync.standbys.filter((name) => {
      const reach = reachOn(end.position.branch, this.#world.node(name).server.position);
      return reach === null || reach < end.position.lsn;
    });
    if (missing.length <= sync.quorum) return;
    this.#report(
      'S11',
      `${server.name} shows what it recovered, up to ${end.position.lsn}, and ${missing.join(', ')} could lead without it`,
    );
  }
}
