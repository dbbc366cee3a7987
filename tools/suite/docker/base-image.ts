/**
 * The image that the stack's images are built from: pulled, or made of Debian's packages where no
 * registry of images can be reached.
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RegentError } from '../../../src/support/errors.ts';
import { lastLines, type RunResult, runCommand } from '../../../src/support/exec.ts';
import { deadFolders, makeFolder, removeFolder } from './folders.ts';

/** As BASE_IMAGE has it in deploy/compose/.env. */
const IMAGE = 'debian:trixie-slim';
const SUITE = 'trixie';
const PULL_MS = 120_000;
const DEBOOTSTRAP_MS = 240_000;
const CA_IN_IMAGE = '/usr/local/share/ca-certificates/this-machine.crt';

/**
 * What the slim images of Docker Hub leave out as well; apt is three times as fast without fsync.
 */
const DPKG = `force-unsafe-io
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
`;

export interface BaseImageTerms {
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Asked for when the image has to be made: installs debootstrap, or throws. */
  readonly ensureDebootstrap: () => Promise<void>;
}

/** Resolves to how the image came about, in words. Throws BASE_IMAGE_MISSING. */
export async function ensureBaseImage(terms: BaseImageTerms): Promise<string> {
  const { env, signal } = terms;
  const docker = (args: readonly string[], timeoutMs: number) => runCommand('docker', args, { timeoutMs, env, signal });
  if ((await docker(['image', 'inspect', IMAGE], 20_000)).code === 0) return 'was there';
  const pulled = await docker(['pull', '--quiet', IMAGE], PULL_MS);
  if (pulled.code === 0) return 'pulled';
  if (process.getuid?.() !== 0) {
    throw new RegentError(
      'BASE_IMAGE_MISSING',
      `${IMAGE} could not be pulled (${lastLines(pulled.stderr, 1)}), and only root can make it`,
      {
        mend: `docker pull ${IMAGE}, or run the tests as root`,
      },
    );
  }
  await terms.ensureDebootstrap();
  await make(env, signal);
  return 'made by debootstrap';
}

async function make(env: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
  for (const folder of deadFolders('debian')) await removeFolder(folder);
  const folder = makeFolder('debian');
  const root = join(folder, 'root');
  try {
    demand('debootstrap', await runCommand('debootstrap', ['--variant=minbase', SUITE, root], { timeoutMs: DEBOOTSTRAP_MS, signal }));
    writeFileSync(join(root, 'etc/dpkg/dpkg.cfg.d/slim'), DPKG);
    for (const path of ['var/cache/apt/archives', 'var/lib/apt/lists', 'usr/share/man', 'usr/share/locale']) {
      rmSync(join(root, path), { recursive: true, force: true });
      mkdirSync(join(root, path));
    }
    const changes = ['--change', 'CMD ["bash"]'];
    // Where this machine reaches the registry of packages through somebody who signs for it, the
    // build has to believe them too.
    const authorities = process.env['NODE_EXTRA_CA_CERTS'];
    if (authorities !== undefined) {
      mkdirSync(join(root, CA_IN_IMAGE, '..'), { recursive: true });
      copyFileSync(authorities, join(root, CA_IN_IMAGE));
      changes.push('--change', `ENV NODE_EXTRA_CA_CERTS=${CA_IN_IMAGE}`);
    }
    const pipe = 'set -o pipefail; tar -C "$0" --numeric-owner -c . | docker import "$@"';
    demand('docker import', await runCommand('bash', ['-c', pipe, root, ...changes, '-', IMAGE], { timeoutMs: 120_000, env, signal }));
  } finally {
    await removeFolder(folder);
  }
}

function demand(what: string, result: RunResult): void {
  if (result.code === 0) return;
  const said = lastLines(`${result.stdout}\n${result.stderr}`, 6);
  throw new RegentError('BASE_IMAGE_MISSING', `${IMAGE} could not be made: ${what} ended with ${result.code ?? result.cause}:\n${said}`, {
    mend: `make it by hand: docker pull ${IMAGE}`,
  });
}
