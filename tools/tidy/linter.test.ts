/** What biome.json forbids: a setting that has no effect any more is noticed here. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const impure = `import { join } from 'node:path';
export const at = Date.now();
export const chance = Math.random();
setTimeout(() => join('a'), 1);
export const home = process.env;
export const fs = await import('node:fs');
`;
const IMPURE = [
  '1 style/noRestrictedImports',
  '2 style/noRestrictedGlobals',
  '3 nursery/noJsRestrictedProperties',
  '4 style/noRestrictedGlobals',
  '5 style/noRestrictedGlobals',
  '6 style/noRestrictedImports',
];
const long = (lines: number) => `export function f(): void {\n${'  f();\n'.repeat(lines)}}\n`;

const cases: Readonly<Record<string, { readonly text: string; readonly broken: readonly string[] }>> = {
  'src/core/impure.ts': { text: impure, broken: IMPURE },
  'src/agent/impure.ts': { text: impure, broken: IMPURE },
  'src/agent/main.ts': { text: impure, broken: [] },
  'src/core/impure.test.ts': { text: impure, broken: [] },
  'src/adapters/impure.ts': { text: impure, broken: [] },
  'src/api/long.ts': { text: long(71), broken: ['1 complexity/noExcessiveLinesPerFunction'] },
  'src/api/short.ts': { text: long(70), broken: [] },
  'src/api/long.test.ts': { text: long(71), broken: [] },
  'src/api/any.ts': { text: 'export const a = (b: any): unknown => b;\n', broken: ['1 suspicious/noExplicitAny'] },
  'src/api/stop.ts': { text: 'debugger;\n', broken: ['1 suspicious/noDebugger'] },
  'src/api/only.test.ts': { text: "it.only('x', () => {});\n", broken: ['1 suspicious/noFocusedTests'] },
  'src/api/skip.test.ts': { text: "it.skip('x', () => {});\n", broken: ['1 suspicious/noSkippedTests'] },
  'src/api/one.ts': {
    text: "import { two } from './two.ts';\n\nexport const one = (): unknown => two;\n",
    broken: ['1 suspicious/noImportCycles'],
  },
  'src/api/two.ts': {
    text: "import { one } from './one.ts';\n\nexport const two = (): unknown => one;\n",
    broken: ['1 suspicious/noImportCycles'],
  },
};

interface Report {
  readonly diagnostics: ReadonlyArray<{
    readonly category: string;
    readonly location: { readonly path: string; readonly start: { readonly line: number } };
  }>;
}

let home: string;
let report: Report;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-linter-'));
  copyFileSync(join(root, 'biome.json'), join(home, 'biome.json'));
  for (const [path, { text }] of Object.entries(cases)) {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), text);
  }
  report = JSON.parse(lint()) as Report;
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

function lint(): string {
  try {
    const args = ['lint', '--reporter=json', '--max-diagnostics=none', '.'];
    return execFileSync(join(root, 'node_modules/.bin/biome'), args, { cwd: home, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    return (error as { readonly stdout: string }).stdout;
  }
}

describe('the linter', () => {
  it.each(Object.entries(cases))('%s', (path, { broken }) => {
    const found = report.diagnostics
      .filter(({ location, category }) => location.path === path && category.startsWith('lint/'))
      .map(({ location, category }) => `${location.start.line} ${category.slice('lint/'.length)}`);
    expect(found.sort()).toEqual(broken);
  });
});
