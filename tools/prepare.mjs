/**
 * `node tools/prepare.mjs bundle|tools`: brings node_modules and dist/ up to date, doing nothing
 * that is not needed. Plain JavaScript, for it runs before anything is installed or built. The
 * launcher holds a lock around it.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** The lock file that node_modules was installed from. */
const installedLock = join(root, 'node_modules', '.regent-package-lock.json');

function say(text) {
  process.stderr.write(`regent: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(`Node ${process.versions.node} at ${process.execPath} is too old: 20.19 or newer is needed.
regent: Install a newer one (https://nodejs.org, or apt-get install nodejs on Debian 13), or set REGENT_NODE to its path.`);
}

function sameText(one, other) {
  return existsSync(one) && existsSync(other) && readFileSync(one).equals(readFileSync(other));
}

/**
 * Every package of the lock file is there in its version: the file may have changed for another
 * reason, and what is there beside them does no harm. Packages for other platforms are left out.
 */
function isInstalled(lock) {
  const { packages } = JSON.parse(readFileSync(lock, 'utf8'));
  return Object.entries(packages).every(([path, { version, optional }]) => path === '' || optional || versionAt(path) === version);
}

function versionAt(path) {
  const description = join(root, path, 'package.json');
  return existsSync(description) ? JSON.parse(readFileSync(description, 'utf8')).version : null;
}

function modulesAreCurrent() {
  const lock = join(root, 'package-lock.json');
  if (sameText(lock, installedLock) || isInstalled(lock)) return true;
  // Installed by hand with npm: its own record is newer than the lock file.
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record) || existsSync(installedLock) || statSync(record).mtimeMs < statSync(lock).mtimeMs) return false;
  copyFileSync(lock, installedLock);
  return true;
}

function installModules() {
  const modules = join(root, 'node_modules');
  // npm empties the directory that a link leads to, under whoever else works with it.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink())
    fail(`${modules} is a link, and what it leads to is not what package-lock.json asks for: install there, or remove the link.`);
  const beside = join(dirname(process.execPath), 'npm');
  const npm = existsSync(beside) ? beside : 'npm';
  say('installing the packages of package-lock.json (npm ci) ...');
  const result = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.error) fail(`could not run npm (${result.error.message}). Install it: on Debian, apt-get install npm.`);
  if (result.status !== 0) fail(`npm ci failed in ${root} (exit ${result.status}). Its message is above; the registry must be reachable.`);
  copyFileSync(join(root, 'package-lock.json'), installedLock);
}

/** Newest change below a path, directories included, in milliseconds since the epoch. */
function newest(path) {
  // In a worktree .git is a file, and what would lie below it is no missing entry to statSync.
  if (!existsSync(path)) return 0;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), stat.mtimeMs);
}

/** Another start may have built while this one waited for the lock. */
function bundleIsCurrent() {
  const stamp = statSync(join(root, 'dist', 'stamp'), { throwIfNoEntry: false });
  if (!stamp) return false;
  return ['src', 'bench', 'chaos', 'test/integration/support', 'tools', 'package.json', 'package-lock.json', '.git/logs/HEAD'].every(
    (path) => newest(join(root, path)) <= stamp.mtimeMs,
  );
}

checkNode();
const wanted = process.argv[2] ?? 'bundle';
if (wanted !== 'tools' && bundleIsCurrent()) process.exit(0);
if (!modulesAreCurrent()) installModules();
if (!bundleIsCurrent()) {
  const { build } = await import('./build.mjs');
  try {
    await build(root);
  } catch (error) {
    // esbuild has shown its own errors with the lines they are about.
    fail(`the build failed${Array.isArray(error?.errors) ? '' : `: ${error instanceof Error ? error.message : error}`}`);
  }
}
