/**
 * One start of a demo in a directory at a time: two at once would give each other's members away.
 */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { codeOf, RegentError } from '../support/errors.ts';
import { demoCommand } from './commands.ts';

/**
 * An address without a file (unix(7), abstract): it goes with the process that has it, however that
 * ends.
 */
const addressOf = (directory: string) => `\0regent-demo-${createHash('sha256').update(directory).digest('hex')}`;

function claim(directory: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(addressOf(directory), () => resolve(server.unref()));
  });
}

/** Throws DEMO_STARTING while another command is at it. */
export async function alone<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const server = await claim(directory).catch((error: unknown) => {
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    throw new RegentError('DEMO_STARTING', `another command is starting a demo in ${directory}, or runs it in the foreground`, {
      mend: `see it with: ${demoCommand('status', directory)}; or run another with --dir and --base-port`,
    });
  });
  try {
    return await work();
  } finally {
    server.close();
  }
}
