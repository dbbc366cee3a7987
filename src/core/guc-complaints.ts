/**
 * What PostgreSQL objects to in a configuration file, and what becomes of each setting it objected to. PostgreSQL itself is the judge: its list of settings,
 * their ranges, units and check functions differ by version and by installed extensions. Messages are read in English (LC_ALL=C), those of
 * src/backend/utils/misc/guc.c and guc-file.l of PostgreSQL 13 to 18.
 */
import type { Gucs } from './guc.ts';

export interface Complaint {
  readonly name: string;
  readonly message: string;
  /** The nearest value within range, in the setting's own unit; null when the setting has to go. */
  readonly instead: string | null;
}

const RANGE = /^(\S+)(?: \S+)? is outside the valid range for parameter "([^"]+)" \((\S+)(?: \S+)? \.\. (\S+?)(?: \S+)?\)/;
const NAMED = [
  /^unrecognized configuration parameter "([^"]+)"/,
  /^invalid configuration parameter name "([^"]+)"/,
  /^invalid value for parameter "([^"]+)"/,
  /^parameter "([^"]+)" /,
];
const INTEGER_LIMIT = 2147483647;

/** Only what concerns one of the settings asked about. Of several complaints about one setting the first counts. */
export function parseComplaints(stderr: string, asked: Gucs): Complaint[] {
  const names = new Map(Object.keys(asked).map((name) => [name.toLowerCase(), name]));
  const complaints = new Map<string, Complaint>();
  const lines = stderr.split('\n').map((line) => /\b(LOG|WARNING|ERROR|FATAL|HINT|DETAIL|CONTEXT): {1,2}(.*)$/.exec(line));
  lines.forEach((line, index) => {
    if (!line || line[1] === 'HINT' || line[1] === 'DETAIL' || line[1] === 'CONTEXT') return;
    const complaint = judge(line[2] ?? '', lines[index + 1]?.[1] === 'HINT' ? (lines[index + 1]?.[2] ?? '') : '', asked, names);
    if (complaint && !complaints.has(complaint.name)) complaints.set(complaint.name, complaint);
  });
  return [...complaints.values()];
}

function judge(message: string, hint: string, asked: Gucs, names: ReadonlyMap<string, string>): Complaint | null {
  const range = RANGE.exec(message);
  if (range) {
    const name = names.get((range[2] ?? '').toLowerCase());
    if (name === undefined) return null;
    const instead = Number(range[1]) < Number(range[3]) ? range[3] : range[4];
    return { name, message, instead: instead ?? null };
  }
  for (const pattern of NAMED) {
    const named = pattern.exec(message)?.[1];
    const name = named === undefined ? undefined : names.get(named.toLowerCase());
    if (name === undefined) continue;
    const overflow = /exceeds integer range/.test(hint);
    const limit = (asked[name] ?? '').trim().startsWith('-') ? -INTEGER_LIMIT : INTEGER_LIMIT;
    return { name, message, instead: overflow ? String(limit) : null };
  }
  return null;
}

/** The settings with every complaint heeded. */
export function heed(gucs: Gucs, complaints: readonly Complaint[]): Record<string, string> {
  const result: Record<string, string> = { ...gucs };
  for (const { name, instead } of complaints) {
    // A bound that was refused as well would come back for ever.
    if (instead !== null && instead !== gucs[name]) result[name] = instead;
    else delete result[name];
  }
  return result;
}
