/**
 * The supervisor's Unix socket: one JSON line asks, one JSON line answers. A process that may open
 * the socket (its owner's, root's) may ask.
 */
import { rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import * as z from 'zod';
import { codeOf, ensureError, RegentError } from '../support/errors.ts';
import { demoCommand } from './commands.ts';
import type { DemoPlan } from './plan.ts';
import type { DemoState } from './state.ts';

const requestSchema = z.discriminatedUnion('command', [
  z.object({ command: z.literal('status') }),
  z.object({ command: z.literal('stop'), node: z.string() }),
  z.object({ command: z.literal('start'), node: z.string() }),
  z.object({ command: z.literal('kill'), node: z.string() }),
  z.object({ command: z.literal('shutdown') }),
]);

export type ControlRequest = z.infer<typeof requestSchema>;

export type ControlReply =
  | { readonly ok: true; readonly message: string; readonly state: DemoState }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly mend: string | null };

const REQUEST_BYTES_MAX = 10_000;
const REQUEST_TIMEOUT_MS = 5000;

type Handler = (request: ControlRequest) => Promise<ControlReply>;

async function answer(line: string, handle: Handler): Promise<ControlReply> {
  try {
    return await handle(requestSchema.parse(JSON.parse(line)));
  } catch (thrown) {
    const error = ensureError(thrown);
    const mend = error instanceof RegentError ? error.mend : null;
    return { ok: false, code: codeOf(error) ?? 'DEMO_CONTROL', message: error.message, mend };
  }
}

function serve(socket: Socket, handle: Handler): void {
  let received = '';
  socket.setEncoding('utf8');
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (chunk: string) => {
    received += chunk;
    const end = received.indexOf('\n');
    if (end < 0) {
      if (received.length > REQUEST_BYTES_MAX) socket.destroy();
      return;
    }
    socket.removeAllListeners('data');
    // The work has its own deadline, longer than a request may take to arrive.
    socket.setTimeout(0);
    void answer(received.slice(0, end), handle).then((reply) => socket.end(`${JSON.stringify(reply)}\n`));
  });
}

export async function listenForControl(path: string, handle: Handler): Promise<Server> {
  await rm(path, { force: true });
  const server = createServer((socket) => serve(socket, handle));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

/**
 * Throws DEMO_NOT_RUNNING when nobody listens, DEMO_DENIED when we may not ask, DEMO_CONTROL when
 * no answer came in time.
 */
export function askSupervisor(
  { controlSocket, directory }: Pick<DemoPlan, 'controlSocket' | 'directory'>,
  request: ControlRequest,
  timeoutMs: number,
): Promise<ControlReply> {
  const itsLog = `its log: ${demoCommand('logs supervisor', directory)}`;
  return new Promise((resolve, reject) => {
    const socket = createConnection(controlSocket);
    let received = '';
    const fail = (code: string, message: string, mend: string) => {
      socket.destroy();
      reject(new RegentError(code, message, { mend }));
    };
    socket.setTimeout(timeoutMs, () =>
      fail('DEMO_CONTROL', `the supervisor did not answer within ${timeoutMs / 1000} s`, `ask again, or see ${itsLog}`),
    );
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('error', (error) => {
      const code = codeOf(error);
      if (code === 'EACCES' || code === 'EPERM')
        fail('DEMO_DENIED', 'this demo belongs to another user', 'run this as that user, or as root');
      else fail('DEMO_NOT_RUNNING', 'the demo is not running', `start it with: ${demoCommand('', directory)}`);
    });
    socket.on('end', () => {
      try {
        resolve(JSON.parse(received) as ControlReply);
      } catch {
        fail('DEMO_CONTROL', 'the supervisor ended before it answered', `see ${itsLog}`);
      }
    });
  });
}
