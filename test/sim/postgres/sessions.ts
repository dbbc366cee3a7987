/** Clients' sessions on one server, and what its processes know of synchronous_standby_names. */
import { parseSyncNames, type SyncNames } from '../../../src/core/sync-names.ts';
import type { Lsn } from '../../../src/core/units.ts';
import type { SimServer } from '../server.ts';
import { confirms } from './syncrep.ts';
import { type CommitEnd, type CommitOptions, WaitingCommits } from './waiting.ts';

const LOOK_MS = 50;

export interface Commit {
  readonly id: number;
  readonly options: CommitOptions;
  /** Its position; then the answer to the client. Either may never come. */
  readonly written: (lsn: Lsn) => void;
  readonly end: (how: CommitEnd) => void;
}

export class Sessions {
  readonly #server: SimServer;
  readonly #waiting = new WaitingCommits('acknowledged');
  readonly #waitingForWrite = new WaitingCommits('remote_write');
  /** In the hands of a disk that hangs. */
  #unflushed: Commit[] = [];
  #names: { text: string; parsed: SyncNames } = { text: '', parsed: parseSyncNames('') };
  /** synchronous_standby_names as the processes that release commits know it. */
  obeyed = '';
  /** The checkpointer syncs files until then (true ms), and takes nothing up. */
  checkpointerBusyUntilMs = 0;

  constructor(server: SimServer) {
    this.#server = server;
  }

  add(commit: Commit): void {
    if (this.#server.diskHung) this.#unflushed.push(commit);
    else this.#flush(commit);
  }

  diskIsBack(): void {
    for (const commit of this.#unflushed.splice(0)) if (this.#server.commits) this.#flush(commit);
  }

  #flush({ id, options, written, end }: Commit): void {
    const lsn = this.#server.append(id);
    written(lsn);
    this.#server.advance(lsn);
    if (options.local) {
      end('local');
      return;
    }
    const cancel = (options.remoteWrite ? this.#waitingForWrite : this.#waiting).add(lsn, end);
    if (options.cancelAfterMs !== undefined) this.#server.later(options.cancelAfterMs, cancel);
    this.release();
  }

  release(): void {
    if ((this.#waiting.size === 0 && !this.wantsWrites) || !this.#server.commits) return;
    const names = this.names();
    const senders = this.#server.replication.senders();
    this.#waiting.release((lsn) => confirms(names, senders, lsn));
    this.#waitingForWrite.release((lsn) => confirms(names, senders, lsn, 'writeLsn'));
  }

  /** Somebody waits for what standbys have written and not flushed. */
  get wantsWrites(): boolean {
    return this.#waitingForWrite.size > 0;
  }

  /** As obeyed now. */
  names(): SyncNames {
    if (this.#names.text !== this.obeyed) this.#names = { text: this.obeyed, parsed: parseSyncNames(this.obeyed) };
    return this.#names.parsed;
  }

  get checkpointerBusy(): boolean {
    return this.#server.parts.sim.now < this.checkpointerBusyUntilMs;
  }

  /**
   * Only the checkpointer tells sessions that there are names at all, or none any more
   * (SyncRepUpdateSyncStandbysDefined).
   */
  get #held(): boolean {
    return this.checkpointerBusy && (this.obeyed === '') !== (this.#server.live.syncNames === '');
  }

  /** What a reload has shown at once is obeyed a moment later. */
  takeUp(): void {
    const server = this.#server;
    if (server.live.syncNames === this.obeyed) return;
    server.later(server.draw(server.durations.takeUpMs), () => this.#take());
  }

  #take(): void {
    const server = this.#server;
    if (this.obeyed === server.live.syncNames) return;
    if (this.#held) {
      server.later(LOOK_MS, () => this.#take());
      return;
    }
    this.obeyed = server.live.syncNames;
    server.parts.trace(`${server.name} PostgreSQL waits for '${this.obeyed}'`);
    this.release();
  }

  /** A server's checkpointer reads the file when it starts. */
  begin(): void {
    this.checkpointerBusyUntilMs = 0;
    this.obeyed = this.#server.file.syncNames;
  }

  /** A promoted server's sessions and walsenders begin only now. */
  open(): void {
    if (!this.#held) this.obeyed = this.#server.live.syncNames;
  }

  /** Nobody is told anything. */
  end(): void {
    this.#waiting.clear();
    this.#waitingForWrite.clear();
    this.#unflushed = [];
  }
}
