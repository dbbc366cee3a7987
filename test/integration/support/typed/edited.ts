/** edit-config. */
import type { Differs, TypedCases } from './cluster.ts';

const ASKS: Differs = {
  why: 'parameters are asked about',
  err: /^Warning: no PostgreSQL could be asked/,
  asked: /^pg1 POST \/parameters /,
};
const UNKNOWN: Differs = { why: 'bad settings', err: /^Warning: dynamic configuration: x: unknown key/ };
const TYPO: Differs = { why: 'typing errors', code: [0, 1], out: /^$/, err: /^Error: Invalid parameter setting /, keys: unchanged };

function unchanged(keys: Readonly<Record<string, string>>): boolean {
  return keys['/service/demo/config'] === '{"ttl":30,"loop_wait":1,"retry_timeout":10,"postgresql":{"parameters":{"max_connections":100}}}';
}

const SCRIPT = '#!/bin/sh\nsed -i s/30/40/ "$1"\n';

export const edited: TypedCases = (typed) => {
  const changes = [
    '-s ttl=40',
    '-s ttl=30',
    '-q -s ttl=40',
    '-s a',
    '-s ttl=',
    '-s ttl=null',
    '-p max_connections=null',
    '-s ttl=40 -s loop_wait=5',
    '-p nothing',
  ];
  for (const change of [
    ...changes,
    '-s postgresql=null',
    '-s postgresql.parameters=null',
    '-s postgresql.use_pg_rewind=true',
    '-s pause=true',
    '-s synchronous_mode=on',
  ])
    typed(`edit-config ${change} --force`);
  for (const pair of ['-p work_mem=8MB', '-p a.b=1', '-s postgresql.parameters.a.b=1'])
    typed(`edit-config ${pair} --force`, { differs: ASKS });
  for (const value of ['{a:~1}', '[1,~2]', '"1"', 'on', '0x10', '010', '1_000', '1e3', '1.50', "'a'", 'text~with~blanks'])
    typed(`edit-config -s x=${value} --force`, { differs: UNKNOWN });
  for (const pair of ['=1', 'a..b=1']) typed(`edit-config -s ${pair} --force`, { differs: TYPO });
  typed('edit-config -s ttl=on --force', {
    differs: {
      why: 'bad settings',
      code: [0, 1],
      out: /\n\+ttl: true\n$/,
      err: /^Error: dynamic configuration: ttl: 'true' is not a whole number; write /,
      keys: unchanged,
    },
  });
  for (const input of ['y\n', 'n\n', '\n', '']) typed('edit-config -s ttl=40', { input });

  const files = {
    f: 'ttl: 40\nretry_timeout: null\n',
    g: 'maximum_lag_on_failover: 5\nttl: 41\n',
    list: '- a\n',
    broken: 'a: [\n',
    twice: 'ttl: 40\nttl: 50\n',
    empty: '{}\n',
  };
  for (const words of ['--apply %f', '--replace %f', '--replace %f --apply %g -s loop_wait=3', '--replace %empty'])
    typed(`edit-config ${words} --force`, { files });
  for (const words of ['--apply -', '--replace -']) typed(`edit-config ${words}`, { input: 'ttl: 40\n' });
  typed('edit-config --apply - --force', { input: 'ttl: 40\n' });
  for (const file of ['%list', '%broken', '/nonexistent'])
    typed(`edit-config --apply ${file} --force`, { files, differs: { why: 'own reasons', err: /^Error: [^\n]+\n$/ } });
  typed('edit-config --replace - --force', {
    input: '',
    differs: { why: 'own reasons', err: /^Error: standard input is empty, not a mapping\n/ },
  });
  typed('edit-config --replace %twice --force', {
    files,
    differs: { why: 'typing errors', code: [0, 1], out: /^$/, err: /duplicate key 'ttl'/, keys: unchanged },
  });
  for (const line of ['edit-config -s ttl=40 --force', 'edit-config nosuch -s ttl=40 --force'])
    typed(line, { keys: { config: null }, note: 'no config' });

  const editor = { files: { 'edit.sh': SCRIPT }, env: { EDITOR: '%edit.sh' } };
  for (const input of ['y\n', 'n\n']) typed('edit-config', { ...editor, input });
  typed('edit-config --force', editor);
  typed('edit-config -q', { ...editor, input: 'y\n' });
  for (const command of ['true', 'false']) typed('edit-config', { env: { EDITOR: command }, note: command });
};
