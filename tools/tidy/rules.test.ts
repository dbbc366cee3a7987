import { describe, expect, it } from 'vitest';
import { checkFile } from './rules.ts';

function rulesBroken(path: string, text: string): string[] {
  return checkFile({ path, text }).map((problem) => `${problem.rule}:${problem.line}`);
}

describe('tidy', () => {
  it('keeps the arrows pointing inward', () => {
    const toAdapter = "import { x } from '../adapters/etcd/x.ts';";
    const toAgent = "import { x } from '../agent/loop.ts';";
    expect(rulesBroken('src/core/a.ts', toAdapter)).toEqual(['layers:1']);
    expect(rulesBroken('src/core/rules/a.ts', "export { x } from '../units.ts';")).toEqual([]);
    expect(rulesBroken('src/core/rules/a.ts', "const x = await import('../../ports/dcs.ts');")).toEqual(['layers:1']);
    expect(rulesBroken('src/api/a.ts', toAdapter)).toEqual([]);
    expect(rulesBroken('src/api/a.ts', toAgent)).toEqual(['layers:1']);
    expect(rulesBroken('src/main.ts', "import { x } from './agent/main.ts';")).toEqual([]);
    expect(rulesBroken('src/main.ts', "load: () => import('../tools/sim/main.ts'),")).toEqual(['layers:1']);
  });

  it('refuses files that are too long, and leftovers', () => {
    expect(rulesBroken('src/api/a.ts', 'x\n'.repeat(400))).toEqual([]);
    expect(rulesBroken('src/api/a.ts', 'x\n'.repeat(401))).toEqual(['size:401']);
    expect(rulesBroken('src/api/a.ts', `// ${'TO'}DO: later`)).toEqual(['leftover:1']);
  });

  it('refuses private members that are so in name only', () => {
    expect(rulesBroken('src/api/a.ts', 'class A {\n  private readonly b = 1;\n}\n')).toEqual(['private:2']);
    expect(rulesBroken('src/api/a.ts', 'class A {\n  private constructor() {}\n  readonly #b = 1;\n}\n')).toEqual([]);
  });

  const wide = `${'word '.repeat(20)}word`;
  it.each([
    ['src/a.ts', `// ${wide}\n`, ['columns:1']],
    ['src/a.ts', `/**\n * ${wide}\n */\nconst a = 1;\n`, ['columns:2']],
    ['src/a.ts', `/* a */ const b = '${wide}';\nconst c = '${wide}';\n`, ['columns:1']],
    ['src/a.ts', `const a = '${wide}'; // b\n`, []],
    ['src/a.ts', `// biome-ignore lint/a/b: ${wide}\n`, []],
    ['src/a.ts', `// https://example.org/${'a'.repeat(100)}\n`, []],
    ['src/a.pl', `# ${wide}\nmy $a = '${wide}';\n`, ['columns:1']],
    ['docs/a.md', `a\n${wide}\n`, ['columns:2']],
    ['docs/a.md', `* ${wide}\n`, ['columns:1']],
    ['docs/a.md', `| ${wide} |\n`, []],
    ['docs/a.md', `[a]: ${wide}\n`, []],
    ['docs/a.md', `\`\`\`\n${wide}\n\`\`\`\n${wide}\n`, ['columns:4']],
  ])('keeps prose within 100 columns: %s %j', (path, text, broken) => expect(rulesBroken(path, text)).toEqual(broken));
});
