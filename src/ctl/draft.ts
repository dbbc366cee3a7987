/**
 * A text in the operator's editor that a typing error does not destroy. The operator can edit it
 * again. Otherwise its file stays, and a message names it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureError, RegentError } from '../support/errors.ts';
import { shellWord } from '../support/shell-words.ts';
import type { Ctx } from './context.ts';
import { runEditor } from './editor.ts';
import { Aborted, CtlError, refuse } from './errors.ts';

export class Draft {
  readonly #ctx: Ctx;
  readonly #directory: string;
  readonly path: string;
  #original: string | null = null;

  constructor(ctx: Ctx, name: string) {
    this.#ctx = ctx;
    this.#directory = mkdtempSync(join(ctx.io.env['TMPDIR'] || tmpdir(), 'regentctl-'));
    this.path = join(this.#directory, `${name.replace(/[^\w.-]/g, '_')}-config.yaml`);
  }

  /** Returns the text as the editor left it. The next time, the editor starts with that text. */
  async edit(text: string): Promise<string> {
    if (this.#original === null) {
      // Readable only by its owner.
      writeFileSync(this.path, text, { mode: 0o600 });
      this.#original = text;
    }
    await runEditor(this.#ctx.io, this.path);
    return readFileSync(this.path, 'utf8');
  }

  get isChanged(): boolean {
    return this.#original !== null && readFileSync(this.path, 'utf8') !== this.#original;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * `change` edits the draft and uses it. After a refusal it runs again if the operator wants to edit
 * again.
 */
export async function withDraft(ctx: Ctx, cluster: string, change: (draft: Draft) => Promise<void>): Promise<void> {
  const draft = new Draft(ctx, cluster);
  let kept = false;
  try {
    for (;;) {
      kept = false;
      try {
        return await change(draft);
      } catch (error) {
        kept = draft.isChanged && !(error instanceof Aborted);
        if (!kept) throw error;
        const where = `Your edit is kept in ${draft.path}; later: ${ctx.called} edit-config ${shellWord(cluster)} --replace ${draft.path}`;
        if (!canBeMended(error)) throw withMend(error, where);
        // Printed first, because the editor takes over the screen.
        ctx.io.stderr.write(`Error: ${error.message}\n${error.mend === null ? '' : `${error.mend}\n`}`);
        if (!(await again(ctx))) throw refuse('Nothing was changed', where);
      }
    }
  } finally {
    if (!kept) draft.remove();
  }
}

/** Another edit can succeed. */
const canBeMended = (error: unknown): error is CtlError => error instanceof CtlError && error.code === 'CTL_REFUSED';

function withMend(cause: unknown, mend: string): RegentError {
  const error = ensureError(cause);
  if (!(error instanceof RegentError)) return new RegentError('CTL_EDITOR', error.message, { mend, cause });
  return new RegentError(error.code, error.message, { mend: error.mend === null ? mend : `${error.mend}\n${mend}`, cause });
}

/** Also false if there is nobody to answer. */
async function again(ctx: Ctx): Promise<boolean> {
  try {
    return await ctx.prompter.confirm('Edit it again?');
  } catch (ended) {
    if (ended instanceof Aborted) return false;
    throw ended;
  }
}
