/**
 * `node tools/build.mjs`: bundles src/ into dist/.
 *
 * Commands are split into chunks that load when used, so that a quick command stays quick. All
 * files lie flat in dist/, beside the files that code finds next to itself (guard.pl). A chunk's
 * name holds its hash, each file is renamed into place whole, and the entries come last: whoever
 * starts meanwhile gets the old program or the new one, and a running program still finds its own
 * chunks.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { buildLabel } from './version.mjs';

/** Chunks of earlier builds stay this long for the programs that were started from them. */
const KEEP_OLD_MS = 24 * 3600 * 1000;
/** File times come from a coarser clock than Date.now(). */
const CLOCK_SLACK_MS = 20;

/** Where only `src/` is there (an image, a package), the commands of the workshop are left out. */
const ENTRIES = { regent: 'src/main.ts', regentctl: 'src/ctl/main.ts', workshop: 'tools/workshop.ts' };
const COPIES = [
  ...['guard.pl', 'guard-server.pl', 'guard-tether.pl', 'tether.pl'].map((name) => `src/adapters/guard/${name}`),
  'src/adapters/service/launch.pl',
];

/** CommonJS packages inside an ES module still call require(). */
const BANNER = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

function place(directory, name, contents, owner) {
  const target = join(directory, name);
  const draft = join(directory, `.draft-${process.pid}-${name}`);
  writeFileSync(draft, contents);
  chmodSync(draft, name.endsWith('.pl') ? 0o755 : 0o644);
  if (owner) chownSync(draft, owner.uid, owner.gid);
  renameSync(draft, target);
}

function prune(directory, current) {
  const horizon = Date.now() - KEEP_OLD_MS;
  for (const name of readdirSync(directory)) {
    if (current.has(name)) continue;
    const path = join(directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat && stat.mtimeMs < horizon) rmSync(path, { force: true, recursive: true });
  }
}

/** Throws with esbuild's message when the sources cannot be bundled; dist/ is then unchanged. */
export async function build(root) {
  const startedAt = Date.now() - CLOCK_SLACK_MS;
  const dist = join(root, 'dist');
  const entryPoints = Object.entries(ENTRIES)
    .filter(([, file]) => existsSync(join(root, file)))
    .map(([out, file]) => ({ in: join(root, file), out }));
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints,
    outdir: dist,
    write: false,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Found beside the bundle or not at all; pg falls back to its own JavaScript.
    external: ['pg-native', 'koffi', 'esbuild', 'rolldown', 'vitest'],
    chunkNames: '[name]-[hash]',
    banner: { js: BANNER },
    legalComments: 'none',
    // The agent keeps its source text in memory. Names stay, for stack traces are read by people.
    minifyWhitespace: true,
    minifySyntax: true,
    // pg makes a Response to find out whether it runs on Cloudflare. That brings Node's fetch,
    // HTTP/2 and zlib into every process: 4 MB resident.
    define: { Response: 'undefined', __REGENT_BUILD__: JSON.stringify(buildLabel(root)) },
    logLevel: 'error',
  });
  // Built by root for somebody else's checkout: that user must be able to rebuild.
  const top = statSync(root);
  const owner = process.getuid?.() === 0 && top.uid !== 0 ? { uid: top.uid, gid: top.gid } : null;
  mkdirSync(dist, { recursive: true, mode: 0o755 });
  if (owner) chownSync(dist, owner.uid, owner.gid);
  const entryNames = new Set(entryPoints.map(({ out }) => `${out}.js`));
  const files = result.outputFiles.map((file) => ({ name: basename(file.path), contents: file.contents }));
  for (const copy of COPIES)
    if (existsSync(join(root, copy))) files.push({ name: basename(copy), contents: readFileSync(join(root, copy)) });
  files.sort((one, other) => Number(entryNames.has(one.name)) - Number(entryNames.has(other.name)));
  for (const file of files) place(dist, file.name, file.contents, owner);
  place(dist, 'package.json', '{"type":"module"}\n', owner);
  prune(dist, new Set([...files.map((file) => file.name), 'package.json', 'stamp']));
  place(dist, 'stamp', `${new Date(startedAt).toISOString()}\n`, owner);
  utimesSync(join(dist, 'stamp'), startedAt / 1000, startedAt / 1000);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await build(join(dirname(fileURLToPath(import.meta.url)), '..'));
}
