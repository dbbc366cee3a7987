/**
 * The form of lines of pg_hba.conf and pg_ident.conf. PostgreSQL does not start with a line that it
 * cannot read, and a running server keeps its old rules. Format: PostgreSQL's documentation, "The
 * pg_hba.conf File" and "User Name Maps". Values of options are never echoed: one may be a
 * password.
 */
import { isIP } from 'node:net';
import { fieldsOf, HBA_TYPES } from '../pgconf/hba.ts';
import type { Wrong } from './read.ts';
import { nearest } from './suggest.ts';

export type LineCheck = (fields: readonly string[]) => Wrong | null;

const INCLUDES = ['include', 'include_if_exists', 'include_dir'];
const METHODS = [
  ...['trust', 'reject', 'scram-sha-256', 'md5', 'password', 'gss', 'sspi', 'ident', 'peer', 'ldap', 'radius', 'cert', 'pam', 'bsd'],
  'oauth',
];
const HBA_FORM = "write it as 'host DATABASE USER ADDRESS METHOD' or 'local DATABASE USER METHOD'";

interface Line {
  readonly text: string;
  /** Where in the list it stands. */
  readonly at: string;
}

/** Of a list of lines; a line that ends in a backslash goes on in the next one. */
export function lineRemarks(lines: readonly Line[], check: LineCheck): Wrong[] {
  const remarks: Wrong[] = [];
  let before: Line | null = null;
  for (const line of lines) {
    const { text, at }: Line = before === null ? line : { text: `${before.text} ${line.text}`, at: before.at };
    before = text.endsWith('\\') ? { text: text.slice(0, -1), at } : null;
    const fields = before === null ? fieldsOf(text) : [];
    const wrong = fields.length === 0 ? null : check(fields);
    if (wrong !== null) remarks.push({ ...wrong, at });
  }
  return remarks;
}

export const hbaLine: LineCheck = (fields) => {
  const [type = '', , user, ...rest] = fields.map(unquoted);
  if (INCLUDES.includes(type)) return included(fields);
  if (!HBA_TYPES.has(type)) return unknownWord(type, 'type of a line', [...HBA_TYPES]);
  if (user === undefined) return cut(fields.length === 1 ? 'database' : 'user');
  if (type === 'local') return methodAndOptions(rest, type);
  const [address, mask] = rest;
  if (address === undefined) return cut('address');
  const slash = address.indexOf('/');
  const host = slash === -1 ? address : address.slice(0, slash);
  if (slash === -1 && isIP(host) !== 0) {
    if (isIP(mask ?? '') !== 0) return methodAndOptions(rest.slice(2), type);
    const length = isIP(host) === 4 ? 32 : 128;
    return { message: `the address ${host} has no length of its prefix, and no mask follows it`, mend: `write '${host}/${length}'` };
  }
  if (slash !== -1 && !isPrefix(host, address.slice(slash + 1)))
    return { message: `${shown(address)} is no address with the length of its prefix`, mend: "write such as '10.0.0.0/8' or '::/0'" };
  return methodAndOptions(rest.slice(1), type);
};

export const identLine: LineCheck = (fields) => {
  if (INCLUDES.includes(fields[0] ?? '')) return included(fields);
  if (fields.length >= 3) return null;
  const missing = fields.length === 1 ? "the system's user" : "PostgreSQL's user";
  return { message: `the line ends before ${missing}`, mend: "write it as 'MAP SYSTEM-USER POSTGRES-USER'" };
};

function methodAndOptions([method, ...options]: readonly string[], type: string): Wrong | null {
  if (method === undefined) return cut('method');
  if (!METHODS.includes(method)) return unknownWord(method, 'authentication method', METHODS);
  const misplaced = misplacedMethod(method, type);
  if (misplaced !== null) return misplaced;
  const odd = options.findIndex((option) => !/^[^=]+=/.test(option));
  if (odd === -1) return null;
  return { message: `option ${odd + 1} after the method is not of the form name=value`, mend: 'correct or remove it' };
}

function misplacedMethod(method: string, type: string): Wrong | null {
  const only = (types: string, write: string): Wrong => ({ message: `the method ${method} is for lines of ${types} only`, mend: write });
  if (method === 'peer' && type !== 'local') return only("type 'local'", "write 'scram-sha-256', or begin the line with 'local'");
  if (method === 'cert' && type !== 'hostssl') return only("type 'hostssl'", "begin the line with 'hostssl'");
  if ((method === 'gss' || method === 'sspi') && type === 'local') return only('host types', "write 'peer', or begin the line with 'host'");
  return null;
}

/** PostgreSQL also reads shortened addresses, such as 10/8. */
function isPrefix(host: string, length: string): boolean {
  const version = isIP(host) || (/^[\d.]+$/.test(host) ? 4 : 0);
  return version !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128);
}

function included(fields: readonly string[]): Wrong | null {
  return fields.length === 2 ? null : { message: `'${fields[0]}' takes one name of a file or directory`, mend: 'write that alone' };
}

const cut = (field: string): Wrong => ({ message: `the line ends before the ${field}`, mend: HBA_FORM });

function unknownWord(word: string, what: string, known: readonly string[]): Wrong {
  const near = nearest(word, known);
  return {
    message: `${shown(word)} is no ${what}: ${known.slice(0, -1).join(', ')} or ${known.at(-1)}`,
    mend: near === null ? HBA_FORM : `write '${near}'`,
  };
}

const unquoted = (field: string) => field.replaceAll('"', '');
/** An option in the wrong place may hold a password. */
const shown = (word: string) => (/^[\w.:/*+-]{1,60}$/.test(word) ? `'${word}'` : 'what stands there');
