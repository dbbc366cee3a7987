/**
 * What this server says of parameters before they are stored for the whole cluster. Nothing is
 * changed.
 */
import { type Gucs, isWritableName } from '../../pgconf/guc.ts';
import { type Complaint, complaintByRow, type SettingRow } from '../../pgconf/guc-complaints.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { checkGucs } from './guc-check.ts';
import { type LocalServer, runner } from './local-server.ts';

/** Null: PostgreSQL could not be asked. */
export async function judgeParameters(server: LocalServer, gucs: Gucs, options: Bounded): Promise<readonly Complaint[] | null> {
  const names = Object.keys(gucs);
  const bad = names.filter((name) => !isWritableName(name));
  const writable = Object.fromEntries(Object.entries(gucs).filter(([name]) => !bad.includes(name)));
  const { settings, log, runAs } = server;
  const { complaints, judged } = await checkGucs({ run: runner(runAs), log, runAs }, settings, writable);
  if (!judged) return null;
  const unknown = bad.map((name) => ({ name, message: `"${name}" is not the name of a parameter`, instead: null }));
  const said = new Set(complaints.map(({ name }) => name));
  const byServer = await ofExtensions(server, writable, options).catch(() => []);
  return [...unknown, ...complaints, ...byServer.filter(({ name }) => !said.has(name))];
}

/**
 * Where their library is not loaded, PostgreSQL accepts any name of theirs; a check of the file
 * does not load it.
 */
async function ofExtensions({ heartbeat, settings }: LocalServer, gucs: Gucs, options: Bounded): Promise<Complaint[]> {
  const named = new Map(Object.keys(gucs).flatMap((name) => (name.includes('.') ? [[name.toLowerCase(), name] as const] : [])));
  if (named.size === 0) return [];
  const text = 'SELECT name, vartype, unit, min_val, max_val, enumvals FROM pg_settings WHERE lower(name) = ANY($1)';
  const asked = { ...options, applicationName: 'Regent parameters' };
  const rows = await heartbeat.use(settings, asked, async (client) => (await client.query<SettingRow>(text, [[...named.keys()]])).rows);
  return rows.flatMap((row) => {
    const name = named.get(row.name.toLowerCase())!;
    const wrong = complaintByRow(row, gucs[name] ?? '');
    return wrong === null ? [] : [{ name, message: `parameter "${name}": ${wrong}`, instead: null }];
  });
}
