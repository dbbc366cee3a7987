/**
 * Reads libpq connection strings in keyword/value form:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 * `pgconf/conninfo.ts` writes them.
 */
import { recalled } from '../support/recall.ts';

export type ConninfoPairs = Readonly<Record<string, string>>;

const KEYWORD = /[ \t\n\v\f\r]*([^ \t\n\v\f\r=]+)[ \t\n\v\f\r]*=[ \t\n\v\f\r]*/y;
const BARE = /(?:\\[\s\S]|[^ \t\n\v\f\r\\])*\\?/y;
const QUOTED = /'((?:\\[\s\S]|[^'\\])*)'/y;

/**
 * Reads the keyword/value form as libpq does; null when libpq would refuse it, and for URIs. Of a
 * keyword given twice the last counts.
 */
export const parseConninfo = recalled((text: string): ConninfoPairs | null => {
  const pairs: Record<string, string> = {};
  const end = text.replace(/[ \t\n\v\f\r]+$/, '').length;
  let at = 0;
  while (at < end) {
    KEYWORD.lastIndex = at;
    const name = KEYWORD.exec(text)?.[1];
    if (name === undefined) return null;
    at = KEYWORD.lastIndex;
    const pattern = text[at] === "'" ? QUOTED : BARE;
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (!match) return null;
    at = pattern.lastIndex;
    pairs[name] = unescapeValue(match[1] ?? match[0]);
  }
  return pairs;
});

/** A backslash means the character after it; at the very end it means nothing. */
function unescapeValue(value: string): string {
  return value.includes('\\') ? value.replace(/\\([\s\S]?)/g, '$1') : value;
}
