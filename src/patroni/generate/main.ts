/** `patroni --generate-config` and `--generate-sample-config`: to a file, or to standard output. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
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
  writeFileSync(path, text, { mode: MODE });
}

async function passwordOf({ stdin, stdout }: PatroniIo): Promise<string | null> {
  if (!stdin.isTTY) return null;
  const prompter = new Prompter({ stdin, stdout });
  try {
    return await prompter.text('Please enter the user password', { hidden: true });
  } finally {
    prompter.close();
  }
}
