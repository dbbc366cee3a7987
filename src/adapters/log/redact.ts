const MASK = '********';

/**
 * Words the log itself is made of. A password of that kind guards little, and masking it wherever
 * it stands would make the log unreadable.
 */
const EVERYDAY = [
  'postgres postgresql replicator replica primary admin leader regent patroni password secret database connection cluster standby timeline',
  'streaming synchronous promoted promoting demoted demoting following starting started stopping stopped restarting running waiting failover',
  'switchover bootstrap candidate checkpoint configuration postmaster watchdog endpoint recovery received secondary heartbeat member etcd',
]
  .join(' ')
  .split(' ');

/**
 * Where to mask a secret that nothing in the text marks as one. `anywhere`: also inside words.
 * `apart`: where no letter or digit is next to it. `values`: only where it is the whole of a JSON
 * value or the last field of a line of pgpass.
 */
type Reach = 'anywhere' | 'apart' | 'values';

/** A word, a number, a date, an address, or `node1`: what a log is full of. */
const ORDINARY = /^(?:\p{L}+(?:[._-]\p{L}+)*\d{0,3}|[\d.:/-]+)$/u;
const SHORT = 6;
const LONG_WORD = 8;

function reachOf(secret: string, ordinary: ReadonlySet<string>): Reach {
  if (ordinary.has(secret.toLowerCase())) return 'values';
  if (ORDINARY.test(secret)) return secret.length < LONG_WORD ? 'values' : 'apart';
  if (secret.length >= SHORT) return 'anywhere';
  return secret.length >= 4 && /[^\p{L}\p{N}\s._-]/u.test(secret) ? 'apart' : 'values';
}

/**
 * Returns a function that masks passwords in a text. It masks what stands where a password belongs
 * (`password=…`, `PASSWORD '…'`, the login of a URL, an authorization). It also masks the given
 * secrets, in each form that JSON or a URL gives them. A secret that could be an ordinary word is
 * masked only where a secret can stand. Otherwise, with the password `test`, every `test` in the
 * log would be masked. `publicWords` (user names, scope, member names) stay readable, except where
 * a password belongs; so do `keyNames`, the words that name settings.
 */
export function createRedactor(
  secrets: Iterable<string>,
  publicWords: Iterable<string> = [],
  keyNames: Iterable<string> = [],
): (text: string) => string {
  const open = new Set(publicWords);
  const ordinary = new Set([
    ...EVERYDAY,
    ...[...open, ...keyNames].flatMap((word) => [word.toLowerCase(), ...word.toLowerCase().split('_')]),
  ]);
  const forms: Record<Reach, Set<string>> = { anywhere: new Set(), apart: new Set(), values: new Set() };
  for (const secret of secrets) {
    if (secret === '' || open.has(secret)) continue;
    const reach = reachOf(secret, ordinary);
    for (const form of formsOf(secret)) forms[reach].add(form);
  }
  const anywhere = patternOf(forms.anywhere, (choices) => choices);
  const apart = patternOf(forms.apart, (choices) => `(?<![\\p{L}\\p{N}_])(?:${choices})(?![\\p{L}\\p{N}_])`);
  const values = patternOf(
    new Set([...forms.values, ...forms.apart]),
    (choices) => `(?<=[:,[]\\s*\\\\?")(?:${choices})(?=\\\\?")|(?<=${PGPASS})(?:${choices})(?=\\s|$)`,
  );
  return (text) => {
    let masked = text;
    for (const pattern of [anywhere, apart, values]) if (pattern !== null) masked = masked.replace(pattern, MASK);
    return maskPlaces(masked);
  };
}

/** host:port:database:user: of a line of pgpass. */
const PGPASS = '(?:^|\\s)[^\\s:]+:(?:\\d+|\\*):[^\\s:]+:[^\\s:]+:';

/** As it is, and as JSON, a URL and postgresql.conf write it. */
function formsOf(secret: string): readonly string[] {
  return [
    secret,
    encodeURIComponent(Buffer.from(secret).toString()),
    JSON.stringify(secret).slice(1, -1),
    secret.replaceAll('\\', '\\\\').replaceAll("'", "\\'"),
  ];
}

/** The longest first: a secret that contains another must not leave its rest behind. */
function patternOf(forms: ReadonlySet<string>, around: (choices: string) => string): RegExp | null {
  if (forms.size === 0) return null;
  const escaped = [...forms]
    .sort((a, b) => b.length - a.length)
    .map((form) => form.replace(/[.*+?^${}()|[\]\\/]/g, (found) => `\\${found}`));
  return new RegExp(around(escaped.join('|')), 'gmu');
}

const QUOTED = String.raw`\\?'(?:[^'\\]|\\.)*'|\\?"(?:[^"\\]|\\.)*"`;
/**
 * 'some.path.password: required' of a message about the configuration names a setting, and tells no
 * value.
 */
const AFTER_KEY = new RegExp(
  String.raw`(?!(?<=PATRONI_\w*|\w\.\w*)passw(?:or)?d: )((?:passw(?:or)?d|passphrase)\\?["']?\s*[=:]\s*)(${QUOTED}|[^\s;,"'}]+)`,
  'gi',
);
const IN_SQL = /(\bpassword\s+)('(?:[^']|'')*')/gi;
const IN_HEADER = /(\bauthorization\\?["']?\s*[=:]\s*\\?["']?(?:(?:basic|bearer)\s+)?)[^\s;,"'}]+/gi;
const IN_URL = /(\/\/[^/@\s:"']*:)[^/@\s"']*@/g;

function maskPlaces(text: string): string {
  return text
    .replace(AFTER_KEY, (_whole, head: string, value: string) => head + maskValue(value))
    .replace(IN_SQL, (_whole, head: string, value: string) => head + maskValue(value))
    .replace(IN_HEADER, `$1${MASK}`)
    .replace(IN_URL, `$1${MASK}@`);
}

/** Keeps the quotes, so that JSON stays JSON. */
function maskValue(value: string): string {
  const quote = /^\\?["']/.exec(value)?.[0] ?? '';
  return quote + MASK + quote;
}
