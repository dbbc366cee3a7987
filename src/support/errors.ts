/**
 * Errors with a policy. `code` is stable and may be relied on; `mend` says what to do.
 *  - transient: the same call may succeed later, unchanged
 *  - operator: somebody has to change something first
 *  - bug: must not happen; the agent stops (the lease then ends, which is the safe side)
 */
export type ErrorPolicy = 'transient' | 'operator' | 'bug';

export interface ErrorDetail {
  readonly mend?: string;
  readonly cause?: unknown;
  readonly policy?: ErrorPolicy;
}

export class RegentError extends Error {
  readonly code: string;
  readonly mend: string | null;
  readonly policy: ErrorPolicy;

  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'RegentError';
    this.code = code;
    this.mend = detail.mend ?? null;
    this.policy = detail.policy ?? 'operator';
  }
}

export class DcsError extends RegentError {
  constructor(code: 'DCS_UNREACHABLE' | 'DCS_REFUSED' | 'DCS_LEASE_GONE', message: string, detail: ErrorDetail = {}) {
    super(code, message, { policy: code === 'DCS_REFUSED' ? 'operator' : 'transient', ...detail });
    this.name = 'DcsError';
  }
}

/** For a read that can be done without: an outage of etcd is no answer, and no reason to end. */
export function onlyOutage(error: unknown): null {
  if (error instanceof DcsError) return null;
  throw error;
}

export function ensureError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}

/** The code of a RegentError or of a Node system error (ECONNREFUSED …); null for anything else. */
export function codeOf(value: unknown): string | null {
  if (typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string') return value.code;
  return null;
}
