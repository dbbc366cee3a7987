/** `patroni --generate-config` and `--generate-sample-config`: to a file, or to standard output. */
import { randomBytes } from 'node:crypto';
import { closeSync, fchownSync, fsyncSync, mkdirSync, openSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
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
    write(documentOf(config), file, io);
    return 0;
  } catch (error) {
    const { message } = ensureError(error);
    const mend = error instanceof RegentError && error.mend !== null ? `\n  mend: ${error.mend}` : '';
    io.stderr.write(`${error instanceof RegentError ? '' : 'Unexpected exception: '}${message}${mend}\n`);
    return 1;
  }
}

function write(text: string, file: string | null, io: PatroniIo): void {
  if (file === null) {
    io.stdout.write(`${text}\n`);
    return;
  }
  const path = resolve(file);
  mkdirSync(dirname(path), { recursive: true });
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) replace(path, text, null);
  else if (found.isFile()) replace(realpathSync(path), text, found);
  // A device or a pipe (`/dev/stdout`) is no file to put another in place of.
  else writeFileSync(path, text);
}

/** By a new file, because the mode of one that is there stays, and others may have it open. */
function replace(path: string, text: string, owner: { readonly uid: number; readonly gid: number } | null): void {
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  const file = openSync(draft, 'wx', MODE);
  try {
    try {
      // root may write it for the user that the agent runs as.
      if (owner !== null && process.getuid?.() === 0) fchownSync(file, owner.uid, owner.gid);
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
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
