/**
 * What Regent has to say beside an answer whose text is Patroni's to the last byte, because scripts
 * compare it. It stands in a header, which regentctl prints behind the text.
 */

/** Why the request was not, or will not be, carried out. */
export const REASON_HEADER = 'Regent-Reason';
/** What the operator should know though it is carried out. */
export const NOTE_HEADER = 'Regent-Note';
/** The name of the job that was begun: AgentStatus.reinitialization tells what came of it. */
export const JOB_HEADER = 'Regent-Job';

/** More than that is in the log. */
const MOST_CHARACTERS = 1000;

/** A header holds ASCII in one line: everything else, and the percent sign, is escaped. */
export function headerText(text: string): string {
  return Array.from(text)
    .slice(0, MOST_CHARACTERS)
    .map((character) => (/^[ -$&-~]$/.test(character) ? character : escaped(character)))
    .join('')
    .trim();
}

/** Null: absent. */
export function readHeaderText(value: string | readonly string[] | undefined): string | null {
  if (typeof value !== 'string' || value === '') return null;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function escaped(character: string): string {
  try {
    return encodeURIComponent(character);
  } catch {
    // Half of a character that was cut in two.
    return '?';
  }
}
