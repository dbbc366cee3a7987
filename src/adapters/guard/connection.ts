import { connect, type Socket } from 'node:net';
import type { Clock } from '../../ports/clock.ts';
import { RegentError } from '../../support/errors.ts';

interface Waiting {
  readonly settle: (line: string) => void;
  readonly fail: (error: Error) => void;
}

/** One conversation with the guard: a line out, a line back, in order. */
export interface GuardConnection {
  /**
   * Throws GUARD_FAILED after timeoutMs. The conversation is over then, because a late answer would
   * be read as the next one's.
   */
  ask(line: string, timeoutMs: number): Promise<string>;
  close(): void;
  /** Resolves when the conversation is over, from whichever side. */
  readonly closed: Promise<void>;
}

export function guardFailed(message: string, mend: string, cause?: unknown): RegentError {
  return new RegentError('GUARD_FAILED', message, { mend, cause, policy: 'transient' });
}

/**
 * Rejects with the system's error (ENOENT, ECONNREFUSED: no guard there). `onClosed` runs once when
 * the other side ends it, not after close().
 */
export function connectGuard(path: string, clock: Clock, timeoutMs: number, onClosed: () => void): Promise<GuardConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const cancel = clock.timer(timeoutMs, () => socket.destroy(guardFailed(`no connection to ${path} within ${timeoutMs} ms`, hungMend)));
    socket.once('error', reject);
    socket.once('close', cancel);
    socket.once('connect', () => {
      cancel();
      socket.off('error', reject);
      resolve(converse(socket, clock, onClosed));
    });
  });
}

const hungMend =
  'see whether the regent-guard process of this data directory is stopped or starved; ending it lets the agent start another';

function converse(socket: Socket, clock: Clock, onClosed: () => void): GuardConnection {
  const waiting: Waiting[] = [];
  let text = '';
  let closedByUs = false;
  let failure: Error | null = null;

  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.setEncoding('latin1');
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      waiting.shift()?.settle(text.slice(0, end));
      text = text.slice(end + 1);
    }
  });
  socket.on('close', () => {
    const error = guardFailed('the guard closed the connection', 'a new guard is started with the next order; see its log', failure);
    for (const one of waiting.splice(0)) one.fail(error);
    if (!closedByUs) onClosed();
  });

  return {
    closed,
    ask: (line, timeoutMs) =>
      new Promise<string>((resolve, reject) => {
        if (socket.destroyed) return reject(guardFailed('the connection to the guard is closed', 'the next order opens a new one'));
        const cancel = clock.timer(timeoutMs, () => {
          one.fail(guardFailed(`the guard did not answer '${line}' within ${timeoutMs} ms`, hungMend));
          closedByUs = true;
          socket.destroy();
        });
        const one: Waiting = {
          settle: (answer) => {
            cancel();
            resolve(answer);
          },
          fail: (error) => {
            cancel();
            reject(error);
          },
        };
        waiting.push(one);
        socket.write(`${line}\n`);
      }),
    close: () => {
      closedByUs = true;
      socket.destroy();
    },
  };
}
