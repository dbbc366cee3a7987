/** What a bundle was built from: the commit, or the sources where there is no git. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/**
 * In the form of build metadata of a semantic version: `1234.g1a2b3c4d5e` is the 1234th commit,
 * `1234.g1a2b3c4d5e.dirty.0f1e2d3c` that with changes on top, and `src.0f1e2d3c` some sources
 * outside of git. The last part tells one content of the sources from another.
 */
export function buildLabel(root) {
  const commit = commitOf(root);
  if (commit === null) return `src.${contentOf(root)}`;
  return commit.clean ? commit.name : `${commit.name}.dirty.${contentOf(root)}`;
}

/** Null: no git, or these sources are not the top of a checkout. */
function commitOf(root) {
  const top = git(root, 'rev-parse', '--show-toplevel');
  if (top === null || realpathSync(top) !== realpathSync(root)) return null;
  const [count, hash] = [git(root, 'rev-list', '--count', 'HEAD'), git(root, 'rev-parse', '--short=10', 'HEAD')];
  if (count === null || hash === null) return null;
  const changes = git(root, 'status', '--porcelain', '--', 'src', 'bench', 'chaos', 'tools', 'package.json', 'package-lock.json');
  return { name: `${count}.g${hash}`, clean: changes === '' };
}

function git(root, ...words) {
  // Root builds for whoever owns the checkout.
  const result = spawnSync('git', ['-c', 'safe.directory=*', ...words], { cwd: root, encoding: 'utf8', timeout: 10_000 });
  return result.status === 0 ? result.stdout.trim() : null;
}

function contentOf(root) {
  const hash = createHash('sha256');
  const add = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((one, other) => (one.name < other.name ? -1 : 1))) {
      const below = join(path, entry.name);
      if (entry.isDirectory()) add(below);
      else if (!entry.name.endsWith('.test.ts')) hash.update(`${below.slice(root.length)}\0`).update(readFileSync(below));
    }
  };
  add(join(root, 'src'));
  hash.update(readFileSync(join(root, 'package-lock.json')));
  return hash.digest('hex').slice(0, 8);
}
