import type { Agent } from 'node:http';

/**
 * Ends the connections that an agent keeps and nobody uses, and each other one when its request is
 * over. Requests under way go on.
 */
export function retireAgent(agent: Agent): void {
  agent.maxFreeSockets = 0;
  for (const socket of Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])) socket.destroy();
}
