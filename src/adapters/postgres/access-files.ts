/**
 * pg_hba.conf and pg_ident.conf. A running server that is told to reload a file with a mistake
 * keeps its old rules, and says so in its own log only. At its next start it reads the file again
 * and, for pg_hba.conf, does not start. So a file that PostgreSQL cannot read does not stay in its
 * place. The running server is asked about the file as soon as it is written; when it objects, the
 * former text is put back.
 */
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { renderAccessFile } from '../../pgconf/server-config.ts';
import { RegentError } from '../../support/errors.ts';
import { fileMode, readText, type WriteOptions, writeFileAtomic } from './atomic-file.ts';
import { cannotReplace, spareName } from './in-place.ts';

export type AccessFile = 'hba' | 'ident';

/**
 * `refused`: the first lines with a mistake, and what is wrong with them. unknown: nobody can be
 * asked.
 */
export type Verdict = 'good' | 'unknown' | { readonly refused: string };
export type Judge = (which: AccessFile, path: string) => Promise<Verdict>;

interface Refused {
  /** Nothing in the settings: somebody wrote the file. */
  readonly own: boolean;
  readonly text: string;
  /** What serves in its place. */
  readonly instead: string | null;
  readonly error: RegentError;
}

interface Place {
  readonly settings: Settings;
  /** Writes as for any other file, with a copy of what somebody else has written. */
  readonly put: (path: string, text: string) => Promise<void>;
  /** As `put`, without a copy of what was there. */
  readonly putBack: (path: string, text: string) => Promise<void>;
}

export class AccessFiles {
  readonly #refused = new Map<string, Refused>();
  readonly #good = new Map<string, string>();

  /**
   * Writes the file where the settings have one. Throws FILE_WRITE_FAILED; ACCESS_FILE_REFUSED
   * where PostgreSQL cannot read it: it serves no start then, if there is another that does. What
   * was refused once is not written again.
   */
  async bring(which: AccessFile, { settings, put, putBack }: Place, judge: Judge | null): Promise<void> {
    const path = pathOf(settings, which);
    const wanted = renderAccessFile(settings, which);
    // What cannot be read cannot be written either, and that will be told.
    const before = await readText(path).catch(() => null);
    const known = this.#refused.get(path);
    if (known !== undefined) {
      if (known.own ? wanted === null && before === known.instead : wanted === known.text) throw known.error;
      this.#refused.delete(path);
    }
    if (wanted !== null) await put(path, wanted);
    const text = wanted ?? before;
    if (text === null || judge === null || this.#good.get(path) === text) return;
    const verdict = await judge(which, path);
    if (verdict === 'unknown') return;
    const copy = copyOf(settings, which);
    if (verdict === 'good') {
      this.#good.set(path, text);
      await putBack(copy, text);
      return;
    }
    if (wanted === null)
      throw refusal(`${path} has a mistake, and PostgreSQL would not start with it: ${verdict.refused}`, 'correct the file');
    const instead = before !== null && before !== wanted ? before : await readText(copy);
    if (instead !== null && instead !== wanted) await putBack(path, instead);
    const error = refusal(
      `${path}: PostgreSQL cannot read what postgresql.pg_${which} says, and the file is left as it was: ${verdict.refused}`,
      `correct postgresql.pg_${which}`,
    );
    this.#refused.set(path, { own: false, text: wanted, instead, error });
    throw error;
  }

  /**
   * Called when a server ended while it started, perhaps because of this file: puts the rules of
   * its last good start in its place. A file of the operator's own is kept as pg_hba.conf.refused.
   * Null: there are no others. `undo` is for a server that does not start with these either.
   */
  async fallBack(
    settings: Settings,
    words: string,
    write: (path: string, text: string) => Promise<void>,
  ): Promise<{ readonly complaint: string; readonly undo: () => Promise<void> } | null> {
    if (!MAY_BE_HBA.test(words)) return null;
    const path = pathOf(settings, 'hba');
    const [text, instead] = [await readText(path), await readText(copyOf(settings, 'hba'))];
    if (text === null || instead === null || text === instead) return null;
    const reason = mistakeIn(words);
    const own = renderAccessFile(settings, 'hba') === null;
    const kept = own ? await keepRefused(settings, path, text, write) : null;
    await write(path, instead);
    const complaint = `${path}: PostgreSQL does not start with it, and started with the rules of its last start: ${reason}`;
    const error = refusal(
      kept === null ? complaint : `${complaint}; the file is kept as ${kept}`,
      kept === null ? 'correct postgresql.pg_hba' : `correct ${kept} and put it back`,
    );
    // What the settings say is judged by the running server.
    if (own) this.#refused.set(path, { own, text, instead, error });
    const undo = async () => {
      this.#refused.delete(path);
      await write(path, text);
    };
    return { complaint: error.message, undo };
  }
}

/** Matches in any language: the name of the file, or that all else goes to PostgreSQL's own log. */
const MAY_BE_HBA = /hba|redirecting log output|logging_collector/;

function mistakeIn(words: string): string {
  const found = /: {1,2}([^\n]*)\n[^\n]*\bline (\d+) of configuration file/.exec(words);
  return found === null ? "PostgreSQL's log has the line" : `line ${found[2]}: ${found[1]}`;
}

async function keepRefused(
  settings: Settings,
  path: string,
  text: string,
  write: (path: string, text: string) => Promise<void>,
): Promise<string> {
  const beside = `${path}.refused`;
  try {
    await write(beside, text);
    return beside;
  } catch (error) {
    if (!cannotReplace(error instanceof Error ? error.cause : null)) throw error;
    const within = spareName(settings.postgresql.dataDir, 'pg_hba.conf.refused');
    await write(within, text);
    return within;
  }
}

const pathOf = (settings: Settings, which: AccessFile) => join(settings.postgresql.configDir, `pg_${which}.conf`);
const copyOf = (settings: Settings, which: AccessFile) => join(settings.postgresql.dataDir, `pg_${which}.conf.backup`);

const refusal = (message: string, mend: string) => new RegentError('ACCESS_FILE_REFUSED', message, { mend });

/** Restores the text of a file; its permissions stay. */
export async function writeBack(path: string, text: string, dataDir: string, ways: Omit<WriteOptions, 'mode'>): Promise<boolean> {
  return await writeFileAtomic(path, text, { ...ways, mode: await fileMode(path, dataDir) });
}
