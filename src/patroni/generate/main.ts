/** `patroni --generate-config` and `--generate-sample-config`: to a file, or to standard output. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import type { Owner } from '../../adapters/postgres/deps.ts';
import { writeNew } from '../../adapters/postgres/file-steps.ts';
import { Prompter } from '../../ctl/prompt.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import type { PatroniArguments } from '../arguments.ts';
import type { PatroniIo } from '../io.ts';
import { documentOf } from './document.ts';
import { runningConfig } from './running.ts';
import { sampleConfig } from './sample.ts';

/** It holds passwords. */
const MODE = 0o600;

export async function generate({ mode, dsn, file }: PatroniArguments, io: PatroniIo): Promise<number> {
  try {
    const ask = () => passwordOf(io);
    const config = mode === 'generate' ? await runningConfig(dsn, io.env, ask) : await sampleConfig(io.env);
    await write(documentOf(config), file, io);
    return 0;
  } catch (error) {
    const { message } = ensureError(error);
    const mend = error instanceof RegentError && error.mend !== null ? `\n  mend: ${error.mend}` : '';
    io.stderr.write(`${error instanceof RegentError ? '' : 'Unexpected exception: '}${message}${mend}\n`);
    return 1;
  }
}

async function write(text: string, file: string | null, io: PatroniIo): Promise<void> {
  if (file === null) {
    io.stdout.write(`${text}\n`);
    return;
  }
  const path = resolve(file);
  mkdirSync(dirname(path), { recursive: true });
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) await replace(path, text, undefined);
  else if (found.isFile()) await replace(realpathSync(path), text, found);
  // A device or a pipe (`/dev/stdout`) is no file to put another in place of.
  else writeFileSync(path, text);
}

/** By a new file, because the mode of one that is there stays, and others may have it open. */
async function replace(path: string, text: string, found: Owner | undefined): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  // root may write it for the user that the agent runs as.
  const owner = process.getuid?.() === 0 ? found : undefined;
  try {
    await writeNew(draft, text, { mode: MODE, owner });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** On stderr, because the configuration may go to stdout. */
async function passwordOf({ stdin, stderr }: PatroniIo): Promise<string | null> {
  if (!stdin.isTTY) return null;
  const prompter = new Prompter({ stdin, stdout: stderr });
  try {
    return await prompter.text('Please enter the user password', { hidden: true });
  } finally {
    prompter.close();
  }
}
