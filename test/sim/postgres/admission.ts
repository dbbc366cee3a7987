/** Access rules that let in replication and the agent only, and their end. */
import type { SimServer } from '../server.ts';

export function admitClients(server: SimServer): void {
  const { process, parts } = server;
  if (process?.clientsOut !== true) return;
  process.clientsOut = false;
  parts.trace(`${server.name} PostgreSQL lets clients in`);
  if (!server.inRecovery) parts.tell(server, 'opened');
  server.changed();
}
