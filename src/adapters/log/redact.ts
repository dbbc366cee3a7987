const MASK = '********';

/** Words of everyday use here. A password of that kind guards nothing, and masking it would make the log unreadable. */
const EVERYDAY = new Set(['postgres', 'postgresql', 'replicator', 'replica', 'primary', 'admin', 'leader', 'regent', 'patroni']);

/**
 * Returns a function that masks the secrets given, wherever they stand and however JSON or a URL would write them, and besides everything that looks
 * like a password in a connection string or URL. `publicWords` (user names, scope, member names) stay readable, except where a password belongs.
 * `keyNames` (words that name settings) stay readable where a secret is only a part of such a word, of a path of them, or of the name of a variable.
 */
export function createRedactor(
  secrets: Iterable<string>,
  publicWords: Iterable<string> = [],
  keyNames: Iterable<string> = [],
): (text: string) => string {
  const names = new Set(keyNames);
  const open = new Set([...publicWords, ...EVERYDAY]);
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret === '' || open.has(secret)) continue;
    for (const form of [
      secret,
      encodeURIComponent(Buffer.from(secret).toString()),
      JSON.stringify(secret).slice(1, -1),
      secret.replaceAll('\\', '\\\\').replaceAll("'", "\\'"),
    ]) {
      forms.add(form);
    }
  }
  // The longest first: a secret that contains another must not leave its rest behind.
  const ordered = [...forms].sort((a, b) => b.length - a.length).map((form) => form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const exact = ordered.length === 0 ? null : new RegExp(ordered.join('|'), 'g');
  // 'some.path.password: required' of a message about the configuration names a setting, and tells no value.
  return (text) =>
    (exact ? text.replace(exact, (found: string, at: number) => (isPartOfName(text, at, found.length, names) ? found : MASK)) : text)
      .replace(
        /(?!(?<=PATRONI_\w*|\w\.\w*)passw(?:or)?d: )(passw(?:or)?d\\?["']?\s*[=:]\s*)(\\?'(?:[^'\\]|\\.)*'|\\?"(?:[^"\\]|\\.)*"|[^\s;,"'}]+)/gi,
        (_whole, head: string, value: string) => head + maskValue(value),
      )
      .replace(/(\/\/[^/@\s:"']*:)[^/@\s"']*@/g, `$1${MASK}@`);
}

/** The word, dots included, that reaches beyond what was found names a setting: masked in the middle, nobody could tell which. */
function isPartOfName(text: string, at: number, length: number, names: ReadonlySet<string>): boolean {
  const before = /[\w.]*$/.exec(text.slice(Math.max(0, at - 200), at))?.[0] ?? '';
  const after = /^\w*(?:\.\w+)*/.exec(text.slice(at + length, at + length + 200))?.[0] ?? '';
  if (before === '' && after === '') return false;
  const word = `${before}${text.slice(at, at + length)}${after}`;
  const isIndex = (part: string, place: number) => place > 0 && /^\d+$/.test(part);
  return /^PATRONI_[A-Z0-9_]+$/.test(word) || word.split('.').every((part, place) => names.has(part) || isIndex(part, place));
}

/** Keeps the quotes, so that JSON stays JSON. */
function maskValue(value: string): string {
  const quote = /^\\?["']/.exec(value)?.[0] ?? '';
  return quote + MASK + quote;
}
