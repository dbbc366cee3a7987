/**
 * What the running server says of an access file on disk. Its views read the file again, whatever
 * rules are in force.
 */
import { plural } from '../../support/plural.ts';
import type { AccessFile, Judge, Verdict } from './access-files.ts';
import { isSamePath } from './doors.ts';
import type { LocalServer } from './local-server.ts';

const ASK_MS = 3000;
const MOST_LINES = 3;

/**
 * pg_ident_file_mappings: since PostgreSQL 15.
 *
 * `parsed` is null in a line that PostgreSQL refuses. One that it takes and that can never match (a
 * hostssl line while ssl is off) has an error, too.
 */
const VIEWS: Readonly<Record<AccessFile, { readonly name: string; readonly parsed: string }>> = {
  hba: { name: 'pg_hba_file_rules', parsed: 'type' },
  ident: { name: 'pg_ident_file_mappings', parsed: 'map_name' },
};

interface Mistake {
  readonly line: number | null;
  readonly error: string | null;
  readonly file: string;
  readonly filled: boolean;
}

/** Null while no server runs. */
export function accessJudge(server: LocalServer): Judge | null {
  if (server.watch.current(server.settings.postgresql.dataDir) === null) return null;
  return async (which, path) => {
    try {
      return await ask(server, which, path);
    } catch {
      // It is starting, does not let the agent in, or has no such view: its next start tells.
      return 'unknown';
    }
  };
}

async function ask({ heartbeat, settings }: LocalServer, which: AccessFile, path: string): Promise<Verdict> {
  const { name, parsed } = VIEWS[which];
  const text =
    `SELECT current_setting('${which}_file') AS file, EXISTS (SELECT FROM ${name}) AS filled, v.line_number AS line, v.error ` +
    `FROM (VALUES (1)) AS one(n) LEFT JOIN ${name} v ON v.error IS NOT NULL AND v.${parsed} IS NULL ORDER BY v.line_number`;
  const options = { timeoutMs: ASK_MS, applicationName: 'Regent access files' };
  const rows = await heartbeat.use(settings, options, async (client) => (await client.query<Mistake>(text)).rows);
  // A server that was taken over reads its own file until it is restarted.
  if (rows[0] === undefined || !isSamePath(rows[0].file, path)) return 'unknown';
  if (which === 'hba' && !rows[0].filled) return { refused: 'it has no rule, only comments or nothing' };
  const mistakes = rows.filter(({ error }) => error !== null);
  if (mistakes.length === 0) return 'good';
  const told = mistakes.slice(0, MOST_LINES).map(({ line, error }) => `line ${line}: ${error}`);
  const more = mistakes.length - told.length;
  return { refused: `${told.join('; ')}${more > 0 ? `; and ${plural(more, 'more line')}` : ''}` };
}
