/**
 * Branded scalars. A bare number or bigint never says whether it is bytes, milliseconds or a WAL
 * position; these do. Names of plain numbers carry their unit (`timeoutMs`, `lagBytes`,
 * `ttlSeconds`).
 */

declare const lsnBrand: unique symbol;

/** A WAL position in bytes, unsigned 64 bit. */
export type Lsn = bigint & { readonly [lsnBrand]: true };

/** A PostgreSQL timeline id, 1 and up. Two equal numbers do not prove equal histories. */
export type Timeline = number;

export const ZERO_LSN = 0n as Lsn;

export function toLsn(value: bigint | number | string): Lsn {
  const bytes = BigInt(value);
  if (bytes < 0n || bytes > 0xffff_ffff_ffff_ffffn) throw new RangeError(`not a WAL position: ${value}`);
  return bytes as Lsn;
}

/** Reads PostgreSQL's `X/X` text form; throws RangeError on anything else. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text.trim());
  if (!match) throw new RangeError(`not a WAL position: '${text}' (expected a form like 0/3000148)`);
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** PostgreSQL's own text form: hexadecimal halves without zero padding. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

export function maxLsn(...values: ReadonlyArray<Lsn | null | undefined>): Lsn | null {
  let best: Lsn | null = null;
  for (const value of values) if (value != null && (best === null || value > best)) best = value;
  return best;
}

/** `ahead - behind` in bytes, never negative. */
export function lagBytes(ahead: Lsn, behind: Lsn): number {
  return ahead > behind ? Number(ahead - behind) : 0;
}
