/**
 * Times as people and scripts write them, read as dateutil reads them for Patroni: ISO 8601 and its
 * variants, month names, the output of date(1), RFC 2822. What dateutil only guesses is refused:
 * years of two digits, a month without a day, `UTC+3` (which it takes for three hours west).
 */

export interface TypedTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly micros: number;
  /** Of the zone that was typed; null: none was. */
  readonly offsetMinutes: number | null;
}

/** Today's date, for a text that leaves it out. */
type Today = Pick<TypedTime, 'year' | 'month' | 'day'>;

type Draft = { -readonly [Part in keyof TypedTime]?: TypedTime[Part] };
/** False: it does not fit to what was read before. */
type Take = (draft: Draft, groups: readonly (string | undefined)[]) => boolean;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH =
  '(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)';
const DAY = '(\\d{1,2})(?:st|nd|rd|th)?(?![\\d:])';
const YEAR = '(\\d{4})(?!\\d)';
const BETWEEN = '[-/. ]\\s*';
const FRACTION = '(?:[.,](\\d{1,9}))?';

const word = (pattern: string, take: Take) => ({ form: new RegExp(pattern, 'iy'), take });

/** In this order at every place of the text. */
const WORDS: readonly { readonly form: RegExp; readonly take: Take }[] = [
  word('(?:\\s+|,(?!\\d)|at\\b|T(?=\\d))', () => true),
  word('(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\\b\\.?', () => true),
  word(`${YEAR}([-/.])(\\d{1,2})\\2(\\d{1,2})(?!\\d)`, (draft, [year, , month, day]) => takeDate(draft, year, Number(month), day)),
  word('(\\d{4})(\\d{2})(\\d{2})(?=(?:\\d{4}(?:\\d{2})?)?(?!\\d))', (draft, [year, month, day]) =>
    takeDate(draft, year, Number(month), day),
  ),
  word(`(\\d{1,2})([-/.])(\\d{1,2})\\2${YEAR}`, (draft, [first, , second, year]) => {
    const dayFirst = Number(first) > 12;
    return takeDate(draft, year, Number(dayFirst ? second : first), dayFirst ? first : second);
  }),
  word(`${YEAR}${BETWEEN}${MONTH}${BETWEEN}${DAY}`, (draft, [year, month, day]) => takeDate(draft, year, monthOf(month), day)),
  word(`${DAY}${BETWEEN}${MONTH}\\.?(?:${BETWEEN}${YEAR})?`, (draft, [day, month, year]) => takeDate(draft, year, monthOf(month), day)),
  word(`${MONTH}\\.?${BETWEEN}${DAY}(?:${BETWEEN}${YEAR})?`, (draft, [month, day, year]) => takeDate(draft, year, monthOf(month), day)),
  word(`(\\d{1,2}):(\\d{2})(?::(\\d{2})${FRACTION})?(?!\\d)(?:\\s*([ap])\\.?m\\b\\.?)?`, takeTime),
  word('(\\d{1,2})()()()\\s*([ap])\\.?m\\b\\.?', takeTime),
  word(YEAR, (draft, [year]) => {
    if (draft.month === undefined || draft.year !== undefined) return false;
    draft.year = Number(year);
    return true;
  }),
  word(`(\\d{2})(?:(\\d{2})(?:(\\d{2})${FRACTION})?)?(?!\\d)`, (draft, groups) => draft.year !== undefined && takeTime(draft, groups)),
  word('(?:Z|UTC|GMT)(?![a-z+-])', (draft) => takeZone(draft, '+', '0', '0')),
  word('([-+])(\\d{1,2}):(\\d{2})(?![\\d:])(?:\\s*\\([A-Z]{3,5}\\))?', (draft, [sign, hours, minutes]) =>
    takeZone(draft, sign, hours, minutes),
  ),
  word('([-+])(\\d{1,2}|\\d{2}(\\d{2}))(?![\\d:])(?:\\s*\\([A-Z]{3,5}\\))?', (draft, [sign, hours, minutes]) =>
    takeZone(draft, sign, hours?.slice(0, 2), minutes),
  ),
  // The name of a zone means different zones in different places, so it is no zone.
  word('[A-Z]{3,5}$', (draft) => draft.hour !== undefined),
];

/** By the calendar of this machine. */
export function today(nowMs: number): Today {
  const now = new Date(nowMs);
  return { year: now.getFullYear(), month: now.getMonth() + 1, day: now.getDate() };
}

/** Null: not a moment. `date`: of a text that has none. */
export function readTypedTime(text: string, date: Today): TypedTime | null {
  const draft: Draft = {};
  for (let at = 0; at < text.length; ) {
    const next = wordAt(text, at, draft);
    if (next === null) return null;
    at = next;
  }
  if (draft.hour === undefined && draft.month === undefined) return null;
  const { month, day } = draft.month === undefined ? date : draft;
  const time = { year: date.year, hour: 0, minute: 0, second: 0, micros: 0, offsetMinutes: null, ...draft, month: month!, day: day! };
  return isPossible(time) ? time : null;
}

/** `offsetMinutes`: of the zone that counts where none was typed. */
export function momentOf(time: TypedTime, offsetMinutes = 0): { readonly epochMs: number; readonly iso: string } {
  const offset = time.offsetMinutes ?? offsetMinutes;
  const { year, month, day, hour, minute, second, micros } = time;
  const epochMs = Date.UTC(year, month - 1, day, hour, minute, second) - offset * 60_000 + micros / 1000;
  const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`;
  const size = Math.abs(offset);
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  return { epochMs, iso: `${date}T${two(hour)}:${two(minute)}:${two(second)}${fraction}${zone}` };
}

/** Where the text goes on behind the word that begins there; null: no word fits. */
function wordAt(text: string, at: number, draft: Draft): number | null {
  for (const { form, take } of WORDS) {
    form.lastIndex = at;
    const match = form.exec(text);
    if (match !== null && match[0] !== '' && take(draft, match.slice(1))) return at + match[0].length;
  }
  return null;
}

function takeDate(draft: Draft, year: string | undefined, month: number, day: string | undefined): boolean {
  if (draft.month !== undefined) return false;
  if (year !== undefined) draft.year = Number(year);
  draft.month = month;
  draft.day = Number(day);
  return true;
}

function takeTime(draft: Draft, [hour, minute, second, fraction, half]: readonly (string | undefined)[]): boolean {
  if (draft.hour !== undefined) return false;
  const given = Number(hour);
  if (half !== undefined && (given < 1 || given > 12)) return false;
  draft.hour = half === undefined ? given : (given % 12) + (half.toLowerCase() === 'p' ? 12 : 0);
  draft.minute = Number(minute || 0);
  draft.second = Number(second || 0);
  draft.micros = Number((fraction || '').slice(0, 6).padEnd(6, '0'));
  return true;
}

/** A zone belongs to a time, and stands behind it. */
function takeZone(draft: Draft, sign: string | undefined, hours: string | undefined, minutes: string | undefined): boolean {
  if (draft.hour === undefined || draft.offsetMinutes !== undefined) return false;
  const size = Number(hours) * 60 + Number(minutes ?? 0);
  if (Number(hours) > 23 || Number(minutes ?? 0) > 59) return false;
  draft.offsetMinutes = sign === '-' ? -size : size;
  return true;
}

const monthOf = (name: string | undefined): number => MONTHS.indexOf((name ?? '').slice(0, 3).toLowerCase()) + 1;

function isPossible({ year, month, day, hour, minute, second }: TypedTime): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  date.setUTCFullYear(year);
  const isDay = year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return isDay && hour < 24 && minute < 60 && second < 60;
}

const two = (value: number): string => String(value).padStart(2, '0');
