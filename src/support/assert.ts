import { RegentError } from './errors.ts';

/**
 * Holds in production too. A broken invariant stops the agent; the lease then runs out and the
 * guard stops PostgreSQL.
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new RegentError('BUG_INVARIANT', `invariant broken: ${message}`, { policy: 'bug' });
}

export function assertNever(value: never): never {
  throw new RegentError('BUG_UNREACHABLE', `unhandled case: ${JSON.stringify(value)}`, { policy: 'bug' });
}
