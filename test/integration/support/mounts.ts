/**
 * File systems of a test's own, and files that cannot be replaced, by mounts over the test's own
 * folders.
 */
import { execFileSync } from 'node:child_process';
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const run = (program: string, ...args: readonly string[]) =>
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 10_000 });

/** null: mounts can be made here; otherwise why not, in words for a skipped test. */
export function whyNoMounts(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounts need Linux and root';
  const probe = mkdtempSync(join(tmpdir(), 'regent-mount-'));
  try {
    run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', probe);
    run('umount', probe);
    return null;
  } catch (error) {
    return `mounts cannot be made here: ${error instanceof Error ? error.message.trim() : String(error)}`;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

export class Mounts {
  readonly #paths: string[] = [];
  readonly #frozen = new Set<string>();

  /** An empty file system of that size over a folder, which is its owner's alone. */
  smallDisk(path: string, bytes: number, owner: { readonly uid: number; readonly gid: number }): void {
    mkdirSync(path, { recursive: true });
    run('mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=0700,uid=${owner.uid},gid=${owner.gid}`, 'none', path);
    this.#paths.push(path);
  }

  /**
   * An empty file system on a device of its own, which can be frozen. Throws where the kernel has
   * no loop devices.
   */
  ownDisk(path: string, megabytes: number, owner: { readonly uid: number; readonly gid: number }): void {
    const image = `${path}.image`;
    mkdirSync(path, { recursive: true });
    run('truncate', '-s', `${megabytes}M`, image);
    run('mkfs.ext4', '-q', '-F', image);
    run('mount', '-o', 'loop', image, path);
    this.#paths.push(path);
    rmSync(join(path, 'lost+found'), { recursive: true });
    chownSync(path, owner.uid, owner.gid);
  }

  /** Writes to it do not return any more, and whoever waits for one cannot be killed. */
  freeze(path: string): void {
    run('fsfreeze', '-f', path);
    this.#frozen.add(path);
  }

  thaw(): void {
    for (const path of this.#frozen) run('fsfreeze', '-u', path);
    this.#frozen.clear();
  }

  /**
   * The file as it is, as containers mount single files: it can be written, and nothing can be put
   * in its place.
   */
  bind(path: string): void {
    const copy = `${path}.mounted`;
    const { uid, gid } = statSync(path);
    copyFileSync(path, copy);
    chownSync(copy, uid, gid);
    run('mount', '--bind', copy, path);
    this.#paths.push(path);
  }

  /** The file as it is, readable, which cannot be written or replaced. */
  nail(path: string): void {
    this.bind(path);
    run('mount', '-o', 'remount,bind,ro', path);
  }

  /** Mounts that were made are gone afterwards, even while they are in use. */
  remove(path?: string): void {
    const gone = path === undefined ? this.#paths.splice(0).reverse() : this.#paths.splice(this.#paths.indexOf(path), 1);
    for (const one of gone) run('umount', '-l', one);
  }
}
