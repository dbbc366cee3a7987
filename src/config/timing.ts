/**
 * ttl, loop_wait and retry_timeout must leave the holder time to renew before the lease ends. Rule:
 * docs/dialect.md, "Timing".
 */
import type { JsonObject } from '../support/json.ts';
import { own } from './merge.ts';
import type { Finding } from './problems.ts';
import { TIMING_MAX, TIMING_MIN, TIMING_PATRONI_MIN } from './table.ts';

export interface Timing {
  readonly ttl: number;
  readonly loop_wait: number;
  readonly retry_timeout: number;
}

/** Raises what is too small, then fits loop_wait + 2 × retry_timeout into ttl. Seconds. */
export function fitTiming(wanted: Timing): { readonly timing: Timing; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const warn = (key: keyof Timing, message: string, mend: string) => findings.push({ path: [key], message, mend, severity: 'warning' });
  const raised = { ...wanted };
  for (const key of ['ttl', 'loop_wait', 'retry_timeout'] as const) {
    if (raised[key] >= TIMING_MIN[key]) continue;
    warn(key, `${raised[key]} is below the least possible; ${TIMING_MIN[key]} is used`, `write ${TIMING_MIN[key]} or more`);
    raised[key] = TIMING_MIN[key];
  }
  if (raised.ttl < TIMING_PATRONI_MIN.ttl) {
    warn(
      'ttl',
      `${raised.ttl} s: leadership ends when etcd, the network or this machine stalls for about ${raised.ttl} s; a member that runs Patroni uses ${TIMING_PATRONI_MIN.ttl}`,
      `write ${TIMING_PATRONI_MIN.ttl} or more where stalls are likelier than failures`,
    );
  }
  if (raised.retry_timeout < TIMING_PATRONI_MIN.retry_timeout) {
    warn(
      'retry_timeout',
      `${raised.retry_timeout} s: one slow answer of etcd may already end leadership; a member that runs Patroni uses ${TIMING_PATRONI_MIN.retry_timeout}`,
      `write ${TIMING_PATRONI_MIN.retry_timeout} or more`,
    );
  }
  const timing = fitted(raised);
  if (timing.loop_wait !== raised.loop_wait || timing.retry_timeout !== raised.retry_timeout) {
    const need = raised.loop_wait + 2 * raised.retry_timeout;
    warn(
      'ttl',
      `loop_wait + 2 * retry_timeout = ${need} exceeds ttl = ${raised.ttl}; loop_wait ${timing.loop_wait} and retry_timeout ${timing.retry_timeout} are used`,
      `write a ttl of ${need} or more, or smaller values for the other two`,
    );
  }
  return { timing, findings };
}

/**
 * Problems of values that somebody is about to store by hand and nobody would use. What is stored
 * already is raised instead (see fitTiming), as Patroni does, and so it is for scripts that send it
 * to the REST API.
 */
export function outOfRange(raw: JsonObject): readonly Finding[] {
  return (['ttl', 'loop_wait', 'retry_timeout'] as const).flatMap((key): Finding[] => {
    const given = own(raw, key);
    // What is no number is another mistake.
    const value = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
    if (typeof value !== 'number' || !(value < TIMING_MIN[key])) return [];
    const range = `from ${TIMING_MIN[key]} to ${TIMING_MAX} (${TIMING_PATRONI_MIN[key]} or more where members run Patroni)`;
    return [{ path: [key], message: `${value} is out of range`, mend: `write a number of seconds ${range}`, severity: 'error' }];
  });
}

function fitted(timing: Timing): Timing {
  const { ttl, loop_wait, retry_timeout } = timing;
  if (1 + 2 * retry_timeout > ttl) return { ttl, loop_wait: 1, retry_timeout: Math.floor((ttl - 1) / 2) };
  return loop_wait + 2 * retry_timeout > ttl ? { ttl, loop_wait: ttl - 2 * retry_timeout, retry_timeout } : timing;
}
