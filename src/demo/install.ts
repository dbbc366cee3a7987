/**
 * Installs Debian packages, as root or with sudo and the user's consent; otherwise names the
 * command that would.
 */
import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { RegentError } from '../support/errors.ts';
import { cleanEnvironment } from '../support/exec.ts';

export interface InstallTerms {
  /** The user has agreed beforehand (`--yes`, or CI=true). */
  readonly consent: boolean;
  readonly isRoot: boolean;
  /** Where to ask and where progress goes. */
  readonly terminal: { readonly interactive: boolean; readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream };
}

const APT_TIMEOUT_MS = 10 * 60_000;

/** What a person would type, to be copied from an error message. */
export function installCommand(packages: readonly string[], isRoot: boolean): string {
  const sudo = isRoot ? '' : 'sudo ';
  return `${sudo}apt-get update && ${sudo}apt-get install -y ${packages.join(' ')}`;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function isAgreed(packages: readonly string[], terms: InstallTerms): Promise<boolean> {
  if (terms.isRoot || terms.consent) return true;
  if (!terms.terminal.interactive) return false;
  const prompt = createInterface({ input: terms.terminal.input, output: terms.terminal.output });
  try {
    const answer = await prompt.question(`Install ${packages.join(', ')} with sudo apt-get now? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}

/**
 * Output goes straight to the terminal, so that apt's own progress is seen. Resolves to the exit
 * code.
 */
function runVisibly(command: readonly string[], output: 'inherit' | 'stderr'): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['inherit', output === 'stderr' ? 2 : 'inherit', 'inherit'],
      env: cleanEnvironment(process.env, { DEBIAN_FRONTEND: 'noninteractive' }),
      timeout: APT_TIMEOUT_MS,
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/**
 * Throws PROGRAMS_MISSING, with the command to run, when it may not install; INSTALL_FAILED when
 * apt-get does.
 */
export async function installPackages(packages: readonly string[], reasons: readonly string[], terms: InstallTerms): Promise<void> {
  const refuse = (why: string): never => {
    throw new RegentError('PROGRAMS_MISSING', `${reasons.join('; ')}${why}`, { mend: `run: ${installCommand(packages, terms.isRoot)}` });
  };
  if (!(await exists('/usr/bin/apt-get'))) {
    throw new RegentError('PROGRAMS_MISSING', `${reasons.join('; ')} (and there is no apt-get here to install it with)`, {
      mend: `install PostgreSQL 13 to 18, etcd 3.4+ and HAProxy 2.4+ with this system's own tools, with their directories in PATH`,
    });
  }
  const sudo = terms.isRoot ? [] : ['sudo', ...(terms.terminal.interactive ? [] : ['-n'])];
  if (!terms.isRoot && !(await exists('/usr/bin/sudo'))) refuse('');
  if (!(await isAgreed(packages, terms))) refuse('; pass --yes to have it installed');
  terms.terminal.output.write(`installing ${packages.join(', ')} ...\n`);
  // A list that cannot be refreshed may still serve; the install's own failure tells.
  await runVisibly([...sudo, 'apt-get', 'update', '-q=2'], 'stderr');
  const code = await runVisibly([...sudo, 'apt-get', 'install', '-y', '-q', '--no-install-recommends', ...packages], 'stderr');
  if (code !== 0) {
    throw new RegentError('INSTALL_FAILED', `apt-get could not install ${packages.join(', ')} (exit ${code}); its message is above`, {
      mend: `run it by hand: ${installCommand(packages, terms.isRoot)}`,
    });
  }
}
