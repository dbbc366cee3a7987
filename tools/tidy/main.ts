import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkFile, type Problem } from './rules.ts';

const FOLDERS = ['src', 'test', 'tools', 'bench', 'chaos', 'docs', 'deploy'];
const AT_THE_ROOT = ['README.md'];
const KINDS = /\.(ts|mjs|sh|pl|js|md)$/;

/** All sources and documents below the root, as paths from it. */
export async function listSources(root: string): Promise<string[]> {
  const found: string[] = [...AT_THE_ROOT];
  for (const folder of FOLDERS) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name).slice(root.length + 1);
      if (entry.isFile() && KINDS.test(entry.name)) found.push(path);
    }
  }
  return found.sort();
}

export async function tidy(root: string): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const path of await listSources(root)) problems.push(...checkFile({ path, text: await readFile(join(root, path), 'utf8') }));
  return problems;
}
