/**
 * Makes unpacked programs run beside a system of another age: each gets its release's own dynamic
 * loader and finds its release's own libraries. Nothing in the environment is needed, so the
 * programs that they start in turn see nothing of it.
 */
import type { Dirent } from 'node:fs';
import { open, readdir, realpath, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { RegentError } from '../../../src/support/errors.ts';
import { must } from './apt.ts';
import { DEBIAN_POSTGRES } from './catalog.ts';

const ELF = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
const LOADER = /^ld-linux.*\.so\.\d$/;

async function entries(directory: string): Promise<readonly Dirent[]> {
  return readdir(directory, { withFileTypes: true }).catch(() => []);
}

async function isElf(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(ELF.length), 0, ELF.length, 0);
    return buffer.equals(ELF);
  } finally {
    await file.close();
  }
}

/** lib and usr/lib with the directory of the architecture in each: e.g. x86_64-linux-gnu. */
async function libraryDirectories(root: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const parent of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    for (const entry of await entries(parent)) if (/-linux-gnu/.test(entry.name)) found.push(join(parent, entry.name));
  }
  return found;
}

async function findLoader(directories: readonly string[]): Promise<string> {
  for (const directory of directories) {
    for (const { name } of await entries(directory)) if (LOADER.test(name)) return await realpath(join(directory, name));
  }
  throw new RegentError('RELEASE_NOT_FETCHED', `no dynamic loader in ${directories.join(', ')}`);
}

async function programs(root: string): Promise<readonly string[]> {
  const majors = (await entries(join(root, DEBIAN_POSTGRES))).map(({ name }) => join(root, DEBIAN_POSTGRES, name, 'bin'));
  const found: string[] = [];
  for (const directory of [join(root, 'usr', 'bin'), ...majors]) {
    for (const entry of await entries(directory)) {
      const path = join(directory, entry.name);
      if (entry.isFile() && (await isElf(path))) found.push(path);
    }
  }
  return found;
}

/** `place` is where `root` will be renamed to: the loader's path is absolute. */
export async function relink(root: string, place: string, patchelf: string): Promise<void> {
  const directories = await libraryDirectories(root);
  const loader = join(place, relative(root, await findLoader(directories)));
  // The old kind of path, which also counts for libraries that libraries and modules ask for.
  const path = directories.map((directory) => join(place, relative(root, directory))).join(':');
  for (const program of await programs(root)) {
    await must(patchelf, ['--set-interpreter', loader, '--force-rpath', '--set-rpath', path, program]);
  }
  // The compiler of queries stays away: it weighs more than all the rest.
  for (const { name } of await entries(join(root, DEBIAN_POSTGRES)))
    await rm(join(root, DEBIAN_POSTGRES, name, 'lib', 'llvmjit.so'), { force: true });
}
