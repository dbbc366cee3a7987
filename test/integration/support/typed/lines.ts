/** Wrong command lines, and those that need no cluster. */
import type { Differs, TypedCases } from './cluster.ts';

const LEFT_OUT = 'cluster may be left out';
const NO_STORE: Differs = { why: 'no configuration', err: /^Error: Can not find where etcd is: no configuration was given\n/ };
const USAGE = /^Usage: patronictl (?:reload|restart|reinit|flush) \[OPTIONS\] \[CLUSTER_NAME\] \[MEMBER_NAMES\]\.\.\./;

const SAME = [
  ...['nothing', '--nothing', '-z', 'list --nothing', 'list --exten', 'list -x', 'list -ex', 'version --x', 'pause -W'],
  ...['topology -f json', 'list --form json', 'switchover --candid pg2 --force', '--version', 'version -h'],
  ...['remove', 'list -w', 'dsn -m', '-c', '-d', 'edit-config -s', 'edit-config --set', 'list -ef', 'dsn --role', 'list --extended=1'],
  ...['list -w x', 'query --watch x', 'list --watch=1x', 'list -f xml', 'list -fx', 'dsn -r nope', 'dsn -r Leader', 'list --group x'],
  ...['history a b', 'show-config a b c', 'remove demo x', '-k', '-d etcd3://x'],
  ...['query', 'query -c a -r any -m x', 'dsn -r any -m pg1', 'query -f /nonexistent', '-d foo://x:1 list', '-c /nonexistent.yml list'],
];

export const lines: TypedCases = (typed) => {
  for (const line of SAME) typed(line);
  for (const line of ['li', 'demo', 'help', '-k nothing']) typed(line);
  typed('', { bare: true, differs: { why: 'help', err: /^Usage: patronictl \[OPTIONS\] COMMAND \[ARGS\]\.\.\.\n\n {2}Command-line/ } });
  typed('--help', { differs: { why: 'help', out: /\nCommands:\n(?: {2}.+\n)* {2}edit-config {2}/ } });
  typed('list --tsv', { differs: { why: 'help', err: /\nError: No such option: --tsv Did you mean --lsn\?\n$/ } });
  typed('failover --master pg1 --force', {
    differs: { why: 'older options', err: /\nError: No such option: --master Did you mean --leader\?\n$/ },
  });
  typed('list --help x', { differs: { why: 'help', out: /^Usage: patronictl list \[OPTIONS\] \[CLUSTER_NAMES\]\.\.\.\n/ } });
  typed('-c /nonexistent.yml list --help', { differs: { why: 'help needs no file', code: [1, 0], out: /^Usage: /, err: /^$/ } });
  typed('-c /nonexistent.yml list -f xml', { differs: { why: 'help needs no file', code: [1, 2], err: /'xml' is not one of/ } });
  typed('switchover --master pg1 --force', {
    differs: { why: 'older options', code: [2, 1], out: /details: 404/, err: /^$/, asked: /^pg1 POST/ },
  });
  for (const command of ['reload', 'restart', 'reinit'])
    typed(command, { differs: { why: LEFT_OUT, code: [2, 1], out: /\| pg1 /, err: /^Aborted!\n$/ } });
  typed('flush restart', { differs: { why: LEFT_OUT, code: [2, 1], out: /\| pg1 /, err: /^Aborted!\n$/ } });
  typed('restart demo --role x', { differs: { why: LEFT_OUT, err: USAGE } });
  typed('flush', { differs: { why: LEFT_OUT, err: USAGE } });
  typed('flush demo', {
    differs: { why: LEFT_OUT, err: /Error: Missing argument '\{restart\|switchover\}'\. Choose from:\n\trestart,\n\tswitchover\n$/ },
  });
  typed('flush demo Restart', {
    differs: { why: LEFT_OUT, err: /Error: Invalid value for '\{restart\|switchover\}': 'Restart' is not one of/ },
  });
  typed('version', { differs: { why: 'version', out: /^patronictl version 4\.1\.4\n$/ } });
  typed('remove', { bare: true, note: 'no configuration' });
  typed('list', { bare: true, note: 'no configuration', differs: { ...NO_STORE, code: [0, 1] } });
  for (const line of ['history', 'dsn', 'pause', 'edit-config', 'query -c x'])
    typed(line, { bare: true, note: 'no configuration', differs: NO_STORE });
  typed('list', { bare: true, env: { PATRONICTL_CONFIG_FILE: '/nonexistent.yml' }, note: 'PATRONICTL_CONFIG_FILE' });
  typed('-d zookeeper://x list', { differs: { why: 'other stores', err: /^Error: Unknown dcs scheme: zookeeper\n/ } });
  typed('query --format xml -c a', { differs: { why: 'exit code', code: [0, 2], err: /'xml' is not one of/, out: /^$/ } });
};
