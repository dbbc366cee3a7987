/**
 * The simulator as one text to be run, made from the sources as they are now, or as they would be
 * with a few lines changed. Nothing is written.
 */
import { relative } from 'node:path';
import type { Plugin } from 'esbuild';
import { RegentError } from '../../src/support/errors.ts';
import type { Edit } from '../../test/sim/zoo/edit.ts';
import { mutatedSources } from './mutate/sources.ts';

const ENTRY = 'test/sim/worker.ts';

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

/** Runs as a worker's code. Throws MUTANT_STALE, MUTANT_BROKEN, SIM_BUILD. */
export async function bundleSimulator(root: string, edits: readonly Edit[] = [], entry = ENTRY): Promise<string> {
  const texts = await mutatedSources(root, edits);
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
