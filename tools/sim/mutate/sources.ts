/** The sources that a mutant changes, as it wants them. Nothing is written. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Edit, Place } from '../../../test/sim/zoo/edit.ts';
import { mutate } from './mutate.ts';
import { strangeNames } from './names.ts';
import { stale } from './stale.ts';
import { parse, rowOf } from './tree.ts';

/** Where rules and rows of tables stand. */
const TABLES = ['src/core/rules', 'src/core/race', 'src/core/quorum'];

/**
 * Text by path from the root. An edit finds what those before it have made. Throws MUTANT_STALE and
 * MUTANT_BROKEN.
 */
export async function mutatedSources(root: string, edits: readonly Edit[]): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const read = async (file: string) => texts.get(file) ?? (await readFile(join(root, file), 'utf8'));
  for (const edit of edits) {
    const { place } = edit;
    const file = 'file' in place ? place.file : await fileOfRule(root, place);
    const text = await read(file).catch((cause: unknown) => {
      throw stale(place, 'the file is not there', cause);
    });
    const changed = await mutate(file, text, edit);
    const strange = await strangeNames(read, file, changed);
    if (strange.length > 0) throw stale(place, `the new code asks for ${strange.join(', ')}, which is not known there`);
    texts.set(file, changed.text);
  }
  return texts;
}

async function fileOfRule(root: string, place: Extract<Place, { rule: string }>): Promise<string> {
  for (const folder of TABLES) {
    for (const name of await readdir(join(root, folder))) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      const file = `${folder}/${name}`;
      const text = await readFile(join(root, file), 'utf8');
      // Most files do not even have the letters.
      if (text.includes(place.rule) && rowOf(await parse(file, text), place.rule) !== null) return file;
    }
  }
  throw stale(place, `no file in ${TABLES.join(' or ')} has it`);
}
