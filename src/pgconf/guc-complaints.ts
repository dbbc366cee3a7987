/**
 * What PostgreSQL objects to in a configuration file, and what becomes of each setting it objected
 * to. PostgreSQL itself is the judge: its list of settings, their ranges, units and check functions
 * differ by version and by installed extensions. Messages are read in English (LC_ALL=C), those of
 * src/backend/utils/misc/guc.c and guc-file.l of PostgreSQL 13 to 18.
 */
import { type Gucs, parseBoolean } from './guc.ts';

export interface Complaint {
  readonly name: string;
  readonly message: string;
  /** The nearest value within range, in the setting's own unit; null when the setting has to go. */
  readonly instead: string | null;
  /** What PostgreSQL says would do. */
  readonly hint?: string;
}

const RANGE = /^(\S+)(?: \S+)? is outside the valid range for parameter "([^"]+)" \((\S+)(?: \S+)? \.\. (\S+?)(?: \S+)?\)/;
const NAMED = [
  /^unrecognized configuration parameter "([^"]+)"/,
  /^invalid configuration parameter name "([^"]+)"/,
  /^invalid value for parameter "([^"]+)"/,
  /^parameter "([^"]+)" /,
];
/** The file is one that was made for the question. */
const PLACE = / in file "[^"]*" line \d+$/;
const INTEGER_LIMIT = 2147483647;

/**
 * Only what concerns one of the settings asked about. Of several complaints about one setting the
 * first counts.
 */
export function parseComplaints(stderr: string, asked: Gucs): Complaint[] {
  const names = new Map(Object.keys(asked).map((name) => [name.toLowerCase(), name]));
  const complaints = new Map<string, Complaint>();
  const lines = stderr.split('\n').map((line) => /\b(LOG|WARNING|ERROR|FATAL|HINT|DETAIL|CONTEXT): {1,2}(.*)$/.exec(line));
  lines.forEach((line, index) => {
    if (!line || line[1] === 'HINT' || line[1] === 'DETAIL' || line[1] === 'CONTEXT') return;
    const hint = lines[index + 1]?.[1] === 'HINT' ? (lines[index + 1]?.[2] ?? '') : '';
    const complaint = judge((line[2] ?? '').replace(PLACE, ''), hint, asked, names);
    if (complaint && !complaints.has(complaint.name)) complaints.set(complaint.name, hint === '' ? complaint : { ...complaint, hint });
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

/** In one line, with what would do. */
export const complaintText = ({ message, hint }: Complaint): string => (hint === undefined ? message : `${message} (${hint})`);

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

/** A row of pg_settings. */
export interface SettingRow {
  readonly name: string;
  readonly vartype: string;
  readonly unit: string | null;
  readonly min_val: string | null;
  readonly max_val: string | null;
  readonly enumvals: readonly string[] | null;
}

/**
 * What is wrong with the value of an extension's setting, of which only a server knows that has the
 * extension loaded; null: nothing that shows. Units are converted by PostgreSQL alone, so with one
 * only the number is looked at.
 */
export function complaintByRow({ vartype, unit, min_val, max_val, enumvals }: SettingRow, value: string): string | null {
  const text = value.trim();
  if (vartype === 'bool') return parseBoolean(text) === null ? 'requires a Boolean value' : null;
  if (vartype === 'enum')
    return enumvals === null || enumvals.some((word) => word.toLowerCase() === text.toLowerCase())
      ? null
      : `takes one of: ${enumvals.join(', ')}`;
  if (vartype !== 'integer' && vartype !== 'real') return null;
  const number = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|0x[0-9a-fA-F]+)\s*(B|kB|MB|GB|TB|us|ms|s|min|h|d)?$/.exec(text);
  if (number === null || (number[2] !== undefined && unit === null)) return `is not a ${vartype === 'real' ? 'number' : 'whole number'}`;
  if (number[2] !== undefined || min_val === null || max_val === null) return null;
  const least = Number(min_val);
  const most = Number(max_val);
  return Number(number[1]) < least || Number(number[1]) > most
    ? `${text} is outside the valid range (${min_val}${unit ?? ''} .. ${max_val}${unit ?? ''})`
    : null;
}
