/**
 * The simulator as one text to be run, made from the sources as they are now, or as they would be
 * with a few lines changed. Nothing is written.
 */
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Plugin } from 'esbuild';
import { RegentError } from '../../src/support/errors.ts';
import type { Edit } from '../../test/sim/zoo/edit.ts';
import type { TextEdit } from '../../test/sim/zoo/mutant.ts';
import { mutatedSources } from './mutate/sources.ts';

const ENTRY = 'test/sim/worker.ts';

/**
 * Throws MUTANT_STALE when the snippet is not there exactly once: the source has moved on, and the
 * edit must follow it.
 */
export function applyEdit(text: string, edit: TextEdit): string {
  const found = text.split(edit.find).length - 1;
  if (found === 1) return text.replace(edit.find, () => edit.replace);
  throw new RegentError('MUTANT_STALE', `${edit.file}: found ${found} times instead of once: ${edit.find}`, {
    mend: 'see what became of that line and change the mutant in test/sim/zoo/ with it',
  });
}

const isText = (edit: Edit | TextEdit): edit is TextEdit => 'find' in edit;

/** Text by path from the root, of sources that change. Throws MUTANT_STALE, MUTANT_BROKEN. */
export async function edited(root: string, edits: readonly (Edit | TextEdit)[]): Promise<ReadonlyMap<string, string>> {
  const texts = new Map(
    await mutatedSources(
      root,
      edits.filter((edit): edit is Edit => !isText(edit)),
    ),
  );
  for (const edit of edits.filter(isText)) {
    const text = texts.get(edit.file) ?? (await readFile(join(root, edit.file), 'utf8'));
    texts.set(edit.file, applyEdit(text, edit));
  }
  return texts;
}

/** Serves those texts in place of the files. */
function inMemory(root: string, texts: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'in-memory-edits',
    setup: (build) => {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = texts.get(relative(root, path));
        return contents === undefined ? null : { contents, loader: 'ts' };
      });
    },
  };
}

/** Runs as a worker's code. Throws MUTANT_STALE, SIM_BUILD. */
export async function bundleSimulator(root: string, edits: readonly (Edit | TextEdit)[] = [], entry = ENTRY): Promise<string> {
  const texts = await edited(root, edits);
  const { build } = await import('esbuild').catch(() => {
    throw new RegentError('SIM_BUILD', 'the packages of package-lock.json are not installed', { mend: `run npm ci in ${root}` });
  });
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    write: false,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    legalComments: 'none',
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'silent',
    plugins: texts.size === 0 ? [] : [inMemory(root, texts)],
  }).catch((error: unknown) => {
    throw new RegentError('SIM_BUILD', `the simulator cannot be built: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
  return result.outputFiles[0]?.text ?? '';
}
