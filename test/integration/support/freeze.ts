/** SIGSTOP to one process of a server whose other processes have to go on. */
import { setTimeout as delay } from 'node:timers/promises';

/** What others look at while they hold nothing themselves: the state of receivers and senders. */
export const LOOK_AT_PARTS = `select pg_last_wal_receive_lsn(), (select count(*) from pg_stat_wal_receiver),
  (select count(*) from pg_stat_replication)`;
export const LOOK_MS = 2000;

/**
 * A process that is stopped while it holds a spinlock keeps everybody who wants it, too. Then it
 * goes on for a moment and is stopped again. `looks`: asks the server, and rejects within LOOK_MS.
 */
export async function freezeAlone(pid: number, looks: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; tries < 10; tries += 1) {
    process.kill(pid, 'SIGSTOP');
    const answers = await looks().then(
      () => true,
      () => false,
    );
    if (answers) return;
    process.kill(pid, 'SIGCONT');
    await delay(100);
  }
  throw new Error(`the server does not answer while its process ${pid} is stopped`);
}
