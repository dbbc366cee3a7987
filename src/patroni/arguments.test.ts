import { describe, expect, it } from 'vitest';
import { helpOf, readArguments, usageOf } from './arguments.ts';

const plain = { mode: 'run', dsn: null, ignoreListenPort: false, print: false, file: null };

describe("Patroni's command line", () => {
  it.each<[string[], object]>([
    [[], {}],
    [['/etc/patroni.yml'], { file: '/etc/patroni.yml' }],
    [['--validate-config', '-i', '-p', 'f.yml'], { mode: 'validate', ignoreListenPort: true, print: true, file: 'f.yml' }],
    [['f.yml', '--valid', '-ip'], { mode: 'validate', ignoreListenPort: true, print: true, file: 'f.yml' }],
    [['--generate-config', '--dsn', 'host=x'], { mode: 'generate', dsn: 'host=x' }],
    [['--generate-config', '--dsn=host=x', 'out.yml'], { mode: 'generate', dsn: 'host=x', file: 'out.yml' }],
    [['--generate-s'], { mode: 'generate-sample' }],
    [['--', '--odd.yml'], { file: '--odd.yml' }],
    [['--help', '--nonsense'], { mode: 'help' }],
    [['--version'], { mode: 'version' }],
  ])('%j', (argv, expected) => {
    expect(readArguments(argv)).toEqual({ ...plain, ...expected });
  });

  it.each<[string[], string]>([
    [['a', 'b'], 'unrecognized arguments: b'],
    [['--foo'], 'unrecognized arguments: --foo'],
    [['-x'], 'unrecognized arguments: -x'],
    [['--generate'], 'ambiguous option: --generate could match --generate-sample-config, --generate-config'],
    [['--dsn'], 'argument --dsn: expected one argument'],
    [['--print=x'], "argument --print: ignored explicit argument 'x'"],
    [['--validate-config', '--generate-config'], 'argument --generate-config: not allowed with argument --validate-config'],
  ])('%j is wrong', (argv, expected) => {
    expect(readArguments(argv)).toBe(expected);
  });

  it('is told in the usage and the help, whose lines fit a terminal', () => {
    const [usage, help] = [usageOf('patroni'), helpOf('patroni')];
    expect(help.startsWith(usage)).toBe(true);
    for (const line of help.slice(usage.length).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
