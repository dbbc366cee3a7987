const MASK = '********';

/** Words of everyday use here. A password of that kind guards nothing, and masking it would make the log unreadable. */
const EVERYDAY = new Set(['postgres', 'postgresql', 'replicator', 'replica', 'primary', 'admin', 'leader', 'regent', 'patroni']);

/**
 * Returns a function that masks the secrets given, wherever they stand and however JSON or a URL would write them, and besides everything that looks
 * like a password in a connection string or URL. `publicWords` (user names, scope, member names) stay readable, except where a password belongs.
 */
export function createRedactor(secrets: Iterable<string>, publicWords: Iterable<string> = []): (text: string) => string {
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
  return (text) =>
    (exact ? text.replace(exact, MASK) : text)
      .replace(
        /(passw(?:or)?d\\?["']?\s*[=:]\s*)(\\?'(?:[^'\\]|\\.)*'|\\?"(?:[^"\\]|\\.)*"|[^\s;,"'}]+)/gi,
        (_whole, head: string, value: string) => head + maskValue(value),
      )
      .replace(/(\/\/[^/@\s:"']*:)[^/@\s"']*@/g, `$1${MASK}@`);
}

/** Keeps the quotes, so that JSON stays JSON. */
function maskValue(value: string): string {
  const quote = /^\\?["']/.exec(value)?.[0] ?? '';
  return quote + MASK + quote;
}
