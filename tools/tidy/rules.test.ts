import { describe, expect, it } from 'vitest';
import { checkFile, codeOnly } from './rules.ts';

function rulesBroken(path: string, text: string): string[] {
  return checkFile({ path, text }).map((problem) => `${problem.rule}:${problem.line}`);
}

describe('tidy', () => {
  it('looks at code, not at what comments and strings say', () => {
    const text = "const a = 'Date.now() // no';\n/* setTimeout\n Math.random */ const b = `x 1\n` + \"it's\"; // new Date()\n";
    expect(codeOnly(text)).not.toMatch(/Date|setTimeout|random/);
    expect(codeOnly(text).split('\n')).toHaveLength(text.split('\n').length);
    expect(rulesBroken('src/core/a.ts', text)).toEqual([]);
  });

  it.each([
    ['const now = Date.now();', 'purity:1'],
    ['\nsetTimeout(f, 1);', 'purity:2'],
    ['const x = Math.random();', 'purity:1'],
    ["import { join } from 'node:path';", 'purity:1'],
    ['const home = process.env;', 'purity:1'],
  ])('refuses %j in core/ and agent/', (text, expected) => {
    expect(rulesBroken('src/core/a.ts', text)).toEqual([expected]);
    expect(rulesBroken('src/agent/a.ts', text)).toEqual([expected]);
    expect(rulesBroken('src/adapters/clock/a.ts', text)).toEqual([]);
    expect(rulesBroken('src/agent/main.ts', text)).toEqual([]);
  });

  it('keeps the arrows pointing inward', () => {
    const toAdapter = "import { x } from '../adapters/etcd/x.ts';";
    const toAgent = "import { x } from '../agent/loop.ts';";
    expect(rulesBroken('src/core/a.ts', toAdapter)).toEqual(['layers:1']);
    expect(rulesBroken('src/core/rules/a.ts', "export { x } from '../units.ts';")).toEqual([]);
    expect(rulesBroken('src/core/rules/a.ts', "const x = await import('../../ports/dcs.ts');")).toEqual(['layers:1']);
    expect(rulesBroken('src/api/a.ts', toAdapter)).toEqual([]);
    expect(rulesBroken('src/api/a.ts', toAgent)).toEqual(['layers:1']);
    expect(rulesBroken('src/main.ts', "import { x } from './agent/main.ts';")).toEqual([]);
  });

  it('refuses files that are too long, and leftovers', () => {
    expect(rulesBroken('src/api/a.ts', 'x\n'.repeat(430))).toEqual([]);
    expect(rulesBroken('src/api/a.ts', 'x\n'.repeat(431))).toEqual(['size:431']);
    expect(rulesBroken('src/api/a.ts', `// ${'TO'}DO: later`)).toEqual(['leftover:1']);
    expect(rulesBroken('src/api/a.test.ts', 'it.only()')).toEqual(['leftover:1']);
  });
});
