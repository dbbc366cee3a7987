import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { isComplete } from './shell.ts';

const WHOLE = [
  'ls',
  'ls | grep Up',
  'echo "a; # b" # and "this',
  "echo 'it'\\''s'",
  'psql -c \\\n  "select 1;"',
  'psql -c "select\n  1"',
  'cat <<EOF\nfor a comment\nEOF',
  "cat <<-'END' | wc -l\n\tone\n\tEND",
  'for node in a b; do\n  echo -n "$node: "\ndone',
  'if true; then echo yes; else echo done; fi',
  'while ! false; do echo { for; break; done',
  '( cd /tmp\n  ls )',
  'echo $(ls | wc -l) $(echo ")")',
  'one 2>/dev/null || \\\ntwo',
  'one &&\n# in between\ntwo',
  'case $x in a) echo a ;; *) echo b ;; esac',
  'f() { echo for; }',
];
const CUT = [
  'psql -c \\',
  'psql -c "select',
  "echo 'it",
  'cat <<EOF\nfor a comment',
  'cat <<EOF',
  'for node in a b; do',
  'for node in a b; do\n  echo done',
  'if true; then echo yes',
  'ls |',
  'one &&',
  'one || \\\n',
  '( cd /tmp',
  'case $x in\na) for b in c; do\nls\ndone ;;',
  'echo $(ls',
  'echo $(echo ")"',
];

/** bash's own opinion: it says so when it has come to the end of its input too early. */
function bashWantsMore(text: string): boolean {
  const { stderr } = spawnSync('bash', ['-n', '-c', text], { encoding: 'utf8', timeout: 5000, env: { ...process.env, LC_ALL: 'C' } });
  return /unexpected (EOF|end of file)|delimited by end-of-file/.test(stderr);
}

describe('isComplete', () => {
  it.each(WHOLE)('takes %j', (text) => {
    expect(bashWantsMore(text)).toBe(false);
    expect(isComplete(text)).toBe(true);
  });

  it.each(CUT)('wants more after %j', (text) => {
    expect(isComplete(text)).toBe(false);
  });

  it.each(CUT.filter((text) => !/\\\n?$/.test(text)))('and so does bash after %j', (text) => {
    expect(bashWantsMore(text)).toBe(true);
  });
});
