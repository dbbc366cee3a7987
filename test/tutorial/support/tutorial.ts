/** The tutorial, and what of it has been run. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Block, readBlocks } from './extract.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
/** Our copy, for checkouts that stand alone. */
export const COPY = join(HERE, '..', 'tutorial.md');
/** Where the project keeps it: beside the checkout. */
export const ORIGINAL = join(HERE, '..', '..', '..', '..', 'shared', 'tutorial.md');

/** null where there is no such file. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** The blocks of the original where it is reachable, otherwise those of the copy. */
export function tutorialBlocks(): readonly Block[] {
  return readBlocks(readIfThere(ORIGINAL) ?? readFileSync(COPY, 'utf8'));
}

/**
 * How tests and messages name a block: `Step 1: Start the Cluster`,
 * `Step 4: Test Automatic Failover / Restore failed node`.
 */
export function titleOf(block: Block): string {
  return block.caption === null ? block.section : `${block.section} / ${block.caption}`;
}
