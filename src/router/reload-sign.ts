/**
 * Tells when HAProxy has been reloaded or restarted: its new process knows nothing of what the
 * router told the old one. A process that is to end closes its idle HTTP connections at once, when
 * its successor is ready. So the router keeps one open, and never asks twice on it.
 */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../ports/clock.ts';

const AGAIN_MS = 100;
/** HAProxy does not run, or its file lacks the frontend. */
const MISSING_MS = 1000;

export interface ReloadSignOptions {
  /** Of a frontend that answers every HTTP request by itself. */
  readonly socketPath: string;
  readonly clock: Pick<Clock, 'timer'>;
  /** HAProxy's new process answers. */
  readonly onReload: () => void;
}

/** Never throws; where there is no such frontend, nothing is ever told. */
export function watchReloads({ socketPath, clock, onReload }: ReloadSignOptions): { close(): void } {
  let socket: Socket | null = null;
  let cancel = () => {};
  let closed = false;
  let known = false;
  const open = () => {
    let answered = false;
    let pauseMs = AGAIN_MS;
    const opened = connect({ path: socketPath }, () => opened.write('GET / HTTP/1.1\r\nHost: regent\r\n\r\n'));
    socket = opened;
    opened.once('data', () => {
      answered = true;
      if (known) onReload();
      known = true;
    });
    opened.on('error', (error) => {
      if ('code' in error && error.code === 'ENOENT') pauseMs = MISSING_MS;
    });
    opened.on('close', () => {
      if (closed) return;
      if (answered) open();
      else cancel = clock.timer(pauseMs, open);
    });
  };
  open();
  return {
    close: () => {
      closed = true;
      cancel();
      socket?.destroy();
    },
  };
}
