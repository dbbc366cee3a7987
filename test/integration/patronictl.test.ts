/**
 * The same typed into the real patronictl and into ours, called by the same name: output, exit
 * code, requests to members and keys in etcd are the same, but for what the case says.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { patroniOf } from '../../tools/suite/releases/find.ts';
import { type BothTools, startBothTools, type Told } from './support/both-tools.ts';
import { asked } from './support/typed/asked.ts';
import { casesOf, type Differs, type TypedCase } from './support/typed/cluster.ts';
import { DIFFERENCES } from './support/typed/differences.ts';
import { edited } from './support/typed/edited.ts';
import { lines } from './support/typed/lines.ts';
import { older } from './support/typed/older.ts';
import { shown } from './support/typed/shown.ts';

const NEWEST = patroniOf('newest');
const INSTALLED = patroniOf('installed');
/** Debian goes on to later releases, whose words may be others. */
const KNOWN = /^4\.1\./;
/** Addresses do not matter yet; only the titles do. */
const titles = (parts: Parameters<typeof casesOf>[0]) => casesOf(parts, () => '').map(({ title }, index) => [index, title] as const);
const PARTS = [lines, shown, asked, edited];

describe.skipIf('missing' in NEWEST)(`the newest Patroni ${'missing' in NEWEST ? `(${NEWEST.missing}: skipped)` : ''}`, () => {
  let both: BothTools;
  let cases: readonly TypedCase[];
  beforeAll(async () => {
    if (!('missing' in NEWEST)) both = await startBothTools(NEWEST.patronictl[0]!);
    cases = casesOf(PARTS, both.members.urlOf);
  });
  afterAll(() => both?.close());

  test.for(titles(PARTS))('%i %s', async ([index], { skip }) => {
    if (!KNOWN.test(both.patronictl.version)) skip(`its words in ${both.patronictl.version} have not been looked at`);
    await expectSame(both, cases[index]!);
  });
});

test('every difference allowed is one that there is', () => {
  const named = new Set(casesOf([...PARTS, older], () => '').flatMap(({ differs }) => (differs === null ? [] : [differs.why])));
  expect([...named].sort()).toEqual(Object.keys(DIFFERENCES).sort());
});

describe.skipIf('missing' in INSTALLED)(`Debian’s own Patroni ${'missing' in INSTALLED ? `(${INSTALLED.missing}: skipped)` : ''}`, () => {
  let both: BothTools;
  let cases: readonly TypedCase[];
  beforeAll(async () => {
    if (!('missing' in INSTALLED)) both = await startBothTools('/usr/bin/python3');
    cases = casesOf([older], both.members.urlOf);
    expect(both.patronictl.version).toMatch(/^3\./);
  });
  afterAll(() => both?.close());

  test.each(titles([older]))('%i %s', async (index) => expectSame(both, cases[index]!, cells));
});

async function expectSame(both: BothTools, typed: TypedCase, form = plain): Promise<void> {
  const [theirs, ours] = [await both.theirs(typed), await both.ours(typed)];
  const differs: Partial<Differs> = typed.differs ?? {};
  const shown = `theirs:\n${theirs.out}${theirs.err}\nours:\n${ours.out}${ours.err}`;
  expect([theirs.code, ours.code], shown).toEqual(differs.code ?? [theirs.code, theirs.code]);
  expectText(differs.out, form(ours.out), form(theirs.out), shown);
  // Lines below the first of an error say what to do, and are ours.
  const [said, known] = [withoutLog(ours.err), withoutLog(theirs.err)];
  expectText(differs.err, differs.err || known === '' ? withoutLog(ours.err, false) : said.slice(0, known.length), known, shown);
  const requests = (told: Told) => told.asked.map(normalRequest).join('\n');
  expectText(differs.asked, requests(ours), requests(theirs), shown);
  if (differs.keys) expect(differs.keys(ours.keys), JSON.stringify(ours.keys)).toBe(true);
  else expect(compact(ours.keys)).toEqual(compact(theirs.keys));
}

/** 3.0.2 writes JSON with blanks. */
function compact(keys: Told['keys']): Record<string, string> {
  const text = (value: string) => (value.startsWith('{') ? JSON.stringify(JSON.parse(value)) : value);
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, text(value)]));
}

function expectText(allowed: RegExp | undefined, ours: string, theirs: string, shown: string): void {
  if (allowed === undefined) expect(ours, shown).toBe(theirs);
  else expect(ours, shown).toMatch(allowed);
}

/** Times, and the order in which Patroni’s sets happen to be. */
function plain(text: string): string {
  return text
    .replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{5}\b/g, 'STAMP')
    .replace(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$|^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(?=\t)/gm, 'STAMP')
    .replace(/e\.g\. \d{4}-\d\d-\d\dT\d\d:\d\d/g, 'e.g. SOON')
    .replace('[pg3, pg2]', '[pg2, pg3]');
}

/** What the cells of tables say, without the frame. */
function cells(text: string): string {
  const lines = plain(text)
    .split('\n')
    .filter((line) => !line.startsWith('+'));
  return lines.map((line) => line.replace(/ +/g, ' ').replaceAll('streaming', 'running')).join('\n');
}

/** Without the lines of a log, which have a time, and what belongs to a traceback of Python. */
function withoutLog(text: string, isTheirs = true): string {
  const left = isTheirs ? text.replace(/^Traceback \(most recent[\s\S]*?^\w[\w.]*(?:Error|Exception)?: .*\n/gm, '') : text;
  return isTheirs ? left.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - [A-Z]+ - .*\n/gm, '') : left;
}

/** The order of keys says nothing; neither does one without a value. */
function normalRequest(request: string): string {
  const [, what = '', body = ''] = /^(\S+ \S+ \S+) ?(.*)$/.exec(request) ?? [];
  if (!body.startsWith('{')) return request;
  const entries = Object.entries(JSON.parse(body) as Record<string, unknown>).filter(([, value]) => value !== null && value !== '');
  return `${what} ${JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))))}`;
}
