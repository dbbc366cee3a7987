/**
 * ISO 8601 in UTC with microseconds and a numeric offset, the form Patroni's readers and people's
 * scripts expect.
 */
export function isoFromEpochMs(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000+00:00');
}
