import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl, tutorialCluster } from '../../test/fixtures/ctl.ts';
import { type CtlConfig, loadCtlConfig, requireEtcd } from './config.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'regentctl-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const load = (text: string, env: Record<string, string> = {}): CtlConfig => loadCtlConfig({ configFile: file('c.yml', text) }, env);

test.each([
  [['nothing'], "No such command 'nothing'.", 'patronictl', 'COMMAND [ARGS]...'],
  [['histroy'], "No such command 'histroy'.\nDid you mean history?", 'patronictl', 'COMMAND [ARGS]...'],
  [['-k'], 'Missing command.', 'patronictl', 'COMMAND [ARGS]...'],
  [['list', '--nothing'], 'No such option: --nothing', 'patronictl list', '[CLUSTER_NAMES]...'],
  [['list', '--formt', 'json'], 'No such option: --formt Did you mean --format?', 'patronictl list', '[CLUSTER_NAMES]...'],
  [['remove'], "Missing argument 'CLUSTER_NAME'.", 'patronictl remove', 'CLUSTER_NAME'],
  [['list', '-w', 'x'], "Invalid value for '-w' / '--watch': 'x' is not a valid float.", 'patronictl list', '[CLUSTER_NAMES]...'],
  [
    ['list', '-tfxml'],
    "Invalid value for '--format' / '-f': 'xml' is not one of 'pretty', 'tsv', 'json', 'yaml', 'yml'.",
    'patronictl list',
    '[CLUSTER_NAMES]...',
  ],
  [['history', 'a', 'b', 'c'], 'Got unexpected extra arguments (b c)', 'patronictl history', '[CLUSTER_NAME]'],
])('%j is a wrong command line', async (words, message, called, args) => {
  const { code, out, err } = await ctl(words, { program: 'patronictl' });
  expect([code, out]).toEqual([2, '']);
  expect(err).toBe(`Usage: ${called} [OPTIONS] ${args}\nTry '${called} --help' for help.\n\nError: ${message}\n`);
});

test.each([
  [['list', '-w'], "Option '-w' requires an argument."],
  [['list', '--extended=1'], "Option '--extended' does not take a value."],
])('%j is wrong, and no usage line would help', async (words, message) => {
  expect(await ctl(words)).toEqual({ code: 2, out: '', err: `Error: ${message}\n` });
});

test('help, asked for and not', async () => {
  const asked = await ctl(['--help']);
  expect([asked.code, asked.err]).toEqual([0, '']);
  expect(asked.out).toMatch(/^Usage: regentctl \[OPTIONS\] COMMAND \[ARGS\]\.\.\.\n\n {2}Command-line/);
  for (const name of ['list', 'topology', 'history', 'switchover', 'failover', 'restart', 'reload', 'reinit', 'pause', 'resume']) {
    expect(asked.out).toContain(`\n  ${name} `);
  }
  expect(await ctl([])).toEqual({ code: 2, out: '', err: asked.out });
  expect((await ctl(['switchover', '--help'])).out).toContain('\n  --candidate NAME  ');
  expect((await ctl(['history', '--help'])).out).toBe(`Usage: regentctl history [OPTIONS] [CLUSTER_NAME]

  Show the history of failovers and switchovers

Options:
  -f, --format [pretty|tsv|json|yaml|yml]
                                  Output format (default: pretty)
  --group INTEGER                 The group, of a Citus cluster
  --help                          Show this message and exit.
`);
});

test('the launcher tells the name it was called by', async () => {
  expect((await ctl(['version'], { program: 'regentctl.js', env: { REGENT_PROGRAM: 'patronictl' } })).out).toMatch(/^patronictl version/);
  expect((await ctl(['version'], { program: 'regentctl.js' })).out).toMatch(/^regentctl version/);
});

test('a cluster has to be named somewhere', async () => {
  const { code, err } = await ctl(['history'], { env: { PATRONI_SCOPE: '' } });
  expect([code, err.split('\n').at(-2)]).toEqual([2, "Error: Missing argument 'CLUSTER_NAME'."]);
});

test.each([
  ['list'],
  ['list', 'demo'],
  ['topology'],
  ['health'],
  ['history'],
  ['switchover'],
  ['failover'],
  ['restart'],
  ['reload'],
  ['reinit'],
  ['pause'],
  ['resume'],
  ['show-config'],
  ['edit-config'],
  ['query', '-c', 'SELECT 1'],
  ['dsn'],
  ['remove', 'demo'],
  ['flush', 'restart'],
  ['version', 'demo'],
])('without a configuration %s says so, and what to give', async (...words) => {
  const { code, err } = await ctl(words, { env: { PATRONI_SCOPE: '', PATRONI_ETCD3_HOSTS: '' } });
  expect(code).toBe(1);
  expect(err).toBe(
    'Error: Can not find where etcd is: no configuration was given\n' +
      'Give the configuration file of a node (-c FILE), set PATRONI_ETCD3_HOSTS, or name an etcd member (-d etcd3://host:2379).\n',
  );
});

test('where nothing says which cluster is meant, and no demo runs, it says how to start one', () => {
  const said = (options: Parameters<typeof loadCtlConfig>[0], env: Record<string, string>) => {
    try {
      return requireEtcd(loadCtlConfig(options, { HOME: directory, ...env }));
    } catch (error) {
      return error;
    }
  };
  expect(said({}, {})).toMatchObject({
    message: 'Can not find where etcd is: no configuration was given',
    mend: 'No demo runs here; ./regent demo starts one. For another cluster: give the configuration file of a node (-c FILE), set PATRONI_ETCD3_HOSTS, or name an etcd member (-d etcd3://host:2379).',
  });
  // A demo was not looked for.
  expect(said({}, { PATRONI_SCOPE: 'demo' })).toMatchObject({ mend: expect.stringMatching(/^Give the/) });
  expect(said({ configFile: file('c.yml', 'scope: demo\n') }, {})).toMatchObject({ mend: expect.stringMatching(/^Give the/) });
});

test('remove asks three times', async () => {
  const etcd = tutorialCluster();
  const words = ['remove', 'demo'];
  expect((await ctl(words, { etcd, input: 'demmo\n' })).err).toBe('Error: Cluster names specified do not match\n');
  expect((await ctl(words, { etcd, input: 'demo\nyes i am aware\n' })).err).toBe('Error: You did not exactly type "Yes I am aware"\n');
  expect((await ctl(words, { etcd, input: 'demo\nYes I am aware\npatroni2\n' })).err).toBe(
    'Error: You did not specify the current leader of the cluster\n',
  );
  expect(etcd.get('demo', 'leader')).toBe('patroni1');
  const { code, out } = await ctl(words, { etcd, input: 'demo\nYes I am aware\npatroni1\n' });
  expect(code).toBe(0);
  expect(out.slice(out.indexOf('Please'))).toBe(
    'Please confirm the cluster name to remove: ' +
      'You are about to remove all information in DCS for demo, please type: "Yes I am aware": ' +
      'This cluster currently is healthy. Please specify the leader name to continue: ',
  );
  expect(etcd.get('demo', 'leader')).toBe(null);
  const again = await ctl(words, { etcd, input: 'demo\nYes I am aware\n' });
  expect([again.code, again.err]).toEqual([1, expect.stringMatching(/^There is no cluster 'demo': etcd has no keys below/)]);
});

test('Ctrl-C during a wait', async () => {
  const etcd = tutorialCluster();
  const asked = await ctl(['edit-config', '-s', 'ttl=40'], { etcd, input: 'y\n', interruptAfter: { text: '@@', times: 1 } });
  expect(asked).toMatchObject({ code: 1, err: 'Aborted!\n' });
  expect(etcd.get('demo', 'config')).toContain('"ttl":30');
});

test('query refuses impossible requests', async () => {
  expect((await ctl(['query'])).err).toBe('Error: You need to specify either --command or --file\n');
  expect((await ctl(['query', '-c', 'x', '-f', 'y'])).err).toBe('Error: --file and --command are mutually exclusive options\n');
  expect((await ctl(['query', '-c', 'x', '-r', 'any', '-m', 'y'])).err).toBe('Error: --role and --member are mutually exclusive options\n');
  const none = await ctl(['query', '-c', 'x', '-m', 'nobody'], { etcd: tutorialCluster() });
  expect(none.out).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\tNo connection to member nobody is available\n$/);
});

test('a file with scope and etcd is enough; everything else has its default', () => {
  const config = load('scope: demo\netcd3:\n  hosts: 10.0.0.1:2379, 10.0.0.2\n');
  expect(config).toMatchObject({ scope: 'demo', namespace: 'service', superuser: null });
  expect(config.etcd).toMatchObject({ endpoints: ['http://10.0.0.1:2379', 'http://10.0.0.2:2379'], discover: true, username: null });
  expect(config.rest).toEqual({
    insecure: false,
    cacert: null,
    certfile: null,
    keyfile: null,
    keyfilePassword: null,
    authentication: null,
  });
});

test('an agent file serves as it is, mistakes elsewhere included', () => {
  const config = load(`scope: 007
namespace: /db/
ttl: not a number
etcd:
  hosts: [10.0.0.1:2379]
  protocol: https
  username: u
  password: 0123
restapi:
  cafile: /ca.pem
  authentication: {username: rest, password: 1_000}
ctl: {insecure: on, certfile: /c.pem, haproxy_url: 'http://127.0.0.1:7001/stats;csv'}
postgresql:
  listen: nonsense
  authentication: {superuser: {username: postgres, password: yes, sslmode: require}}
`);
  expect(config).toMatchObject({ scope: '007', namespace: '/db/' });
  expect(config.etcd).toMatchObject({ endpoints: ['https://10.0.0.1:2379'], username: 'u', password: '0123' });
  expect(config.rest).toMatchObject({
    insecure: true,
    cacert: '/ca.pem',
    certfile: '/c.pem',
    authentication: { username: 'rest', password: '1_000' },
  });
  expect(config.haproxyUrl).toBe('http://127.0.0.1:7001/stats;csv');
  expect(config.superuser).toEqual({ username: 'postgres', password: 'yes', options: { sslmode: 'require' } });
});

test('-d and DCS_URL stand before the file, -c before PATRONICTL_CONFIG_FILE, the environment before both', () => {
  const configFile = file('a.yml', 'scope: a\netcd3: {host: 10.0.0.1}\nctl: {authentication: {username: c, password: d}}\n');
  const env = { PATRONICTL_CONFIG_FILE: '/nonexistent', DCS_URL: 'etcd3://10.0.0.9:2380/ns/' };
  expect(loadCtlConfig({ configFile }, env)).toMatchObject({ scope: 'a', namespace: 'ns', etcd: { endpoints: ['http://10.0.0.9:2380'] } });
  expect(loadCtlConfig({ configFile, dcs: 'h1,h2:1' }, env).etcd.endpoints).toEqual(['http://h1:2379', 'http://h2:1']);
  expect(loadCtlConfig({ configFile, insecure: true }, { PATRONI_SCOPE: 'e' })).toMatchObject({ scope: 'e', rest: { insecure: true } });
  expect(loadCtlConfig({}, { HOME: directory, PATRONI_ETCD3_HOSTS: "'h:1',i" }).etcd.endpoints).toEqual(['http://h:1', 'http://i:2379']);
});

test.each([
  ['a: [\n', /c\.yml:\d+:\d+/],
  ['etcd3: {hosts: "a b:1"}\n', /^etcd address 'a b:1'/],
])('%j cannot be read', (text, message) => {
  expect(() => load(text)).toThrow(message);
});

test('a missing configuration is named', async () => {
  const { code, err } = await ctl(['-c', '/nonexistent/x.yml', 'list']);
  expect(code).toBe(1);
  expect(err).toContain(
    'Error: Provided config file /nonexistent/x.yml not existing or no read rights. Check the -c/--config-file parameter\n',
  );
  expect((await ctl(['-d', 'consul://x', 'list'])).err).toContain('Error: Unknown dcs scheme: consul\n');
  expect(() => requireEtcd(load('scope: a\n'))).toThrow(/Can not find where etcd is: no etcd3 section in .*c\.yml/);
});
