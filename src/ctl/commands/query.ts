import { readFileSync } from 'node:fs';
import pg from 'pg';
import { mayTryOtherEncryption, tlsAttempts } from '../../adapters/postgres/sql.ts';
import type { ClusterView } from '../../core/cluster.ts';
import type { Source } from '../../core/effects.ts';
import { sourceOf } from '../../core/member-source.ts';
import { codeOf, ensureError } from '../../support/errors.ts';
import type { JsonValue } from '../../support/json.ts';
import type { Format, RoleChoice } from '../choices.ts';
import type { CtlConfig } from '../config.ts';
import type { Ctx } from '../context.ts';
import { refuse, usage } from '../errors.ts';
import { membersByRole, warnOfAbsence } from '../members.ts';
import { userName } from '../operator-name.ts';
import { type Rows, renderRows } from '../render/output.ts';
import { localTime } from '../time.ts';
import { type WatchOptions, watching } from '../watch.ts';

export interface QueryOptions extends WatchOptions {
  readonly command?: string;
  readonly file?: string;
  readonly role?: RoleChoice;
  readonly member?: string;
  readonly username?: string;
  readonly dbname?: string;
  readonly password?: boolean;
  readonly format: Format;
  readonly delimiter: string;
}

const CONNECT_MS = 5_000;
/**
 * Limits only how long a dead server may stay silent. How long the statement takes is the user's
 * decision.
 */
const KEEPALIVE_MS = 5_000;
const HEADLESS = { columns: null, title: null } as const;

export async function run(ctx: Ctx, [name]: readonly string[], options: QueryOptions): Promise<number> {
  if (options.member !== undefined && options.role !== undefined) throw refuse('--role and --member are mutually exclusive options');
  if (options.file !== undefined && options.command !== undefined) throw refuse('--file and --command are mutually exclusive options');
  const sql = options.command ?? (options.file === undefined ? null : await readSql(ctx, options.file));
  if (sql === null) throw refuse('You need to specify either --command or --file');
  const password = options.password ? await ctx.prompter.text('Password', { hidden: true }) : null;
  const cluster = await ctx.cluster(name);
  let exitCode = 0;
  const session = new Session(await ctx.config(), options, password, ctx.io.env);
  try {
    await watching(ctx, options, false, async () => {
      const result = await session.ask(
        () => ctx.read(cluster),
        sql,
        () => localTime(ctx.io.clock.wallMs(), 0),
      );
      exitCode = result.columns === null ? 1 : 0;
      if (exitCode === 1) await warnOfAbsence(ctx, await ctx.read(cluster), cluster);
      return renderRows(result, options.format, { delimiter: options.delimiter });
    });
  } finally {
    await session.close();
  }
  return exitCode;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
};

async function readSql(ctx: Ctx, path: string): Promise<string> {
  try {
    if (path !== '-') return readFileSync(path, 'utf8');
    let text = '';
    for await (const chunk of ctx.io.stdin) text += String(chunk);
    return text;
  } catch (error) {
    throw usage(`Invalid value for '--file' / '-f': '${path}': ${REASONS[codeOf(error) ?? ''] ?? ensureError(error).message}`);
  }
}

/** One connection. It is made when first needed, and again after it was lost. */
class Session {
  readonly #config: CtlConfig;
  readonly #options: QueryOptions;
  readonly #password: string | null;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #client: pg.Client | null = null;

  constructor(config: CtlConfig, options: QueryOptions, password: string | null, env: Readonly<Record<string, string | undefined>>) {
    this.#config = config;
    this.#options = options;
    this.#password = password;
    this.#env = env;
  }

  /** A failure becomes a row that says when it happened and what it was. */
  async ask(read: () => Promise<ClusterView>, sql: string, now: () => string): Promise<Rows> {
    const client = this.#client ?? (await this.#connect(await read(), now));
    if (!(client instanceof pg.Client)) return client;
    this.#client = client;
    try {
      return rowsOf(await client.query({ text: sql, rowMode: 'array', types: { getTypeParser } }));
    } catch (error) {
      await this.close();
      return { ...HEADLESS, rows: [[now(), failureText(error, null)]] };
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }

  async #connect(view: ClusterView, now: () => string): Promise<pg.Client | Rows> {
    const { member, role } = this.#options;
    const wanted = role ?? (member === undefined ? 'leader' : 'any');
    const chosen = membersByRole(view, wanted).find((each) => member === undefined || each.name === member);
    const address = chosen && sourceOf(chosen);
    const whom = member !== undefined ? ` to member ${member}` : role !== undefined ? ` to role '${role}'` : '';
    const none = { ...HEADLESS, rows: [[now(), `No connection${whom} is available`]] };
    if (!address) return none;
    let failure = '';
    for (const ssl of tlsAttempts(address.host, this.#encryption())) {
      const client = this.#clientFor(address, ssl);
      try {
        await client.connect();
        if (await plays(client, wanted)) return client;
        await client.end();
        return none;
      } catch (error) {
        await client.end().catch(() => undefined);
        failure = failureText(error, client);
        if (!mayTryOtherEncryption(error)) break;
      }
    }
    return { ...HEADLESS, rows: [[now(), failure]] };
  }

  /** By libpq's environment, else as the agent connects. */
  #encryption(): Readonly<Record<string, string>> {
    const env = Object.entries(SSL_VARIABLES).flatMap(([name, variable]) => {
      const value = this.#env[variable];
      return value ? [[name, value] as const] : [];
    });
    return { ...this.#config.superuser?.options, ...Object.fromEntries(env) };
  }

  /**
   * User and password: the command line, then libpq's environment and password file, then the
   * configuration's superuser, then, as libpq does, the name of the system's user. The driver would
   * read that from $USER, which a cron job or a container may lack.
   */
  #clientFor(address: Source, ssl: ReturnType<typeof tlsAttempts>[number]): pg.Client {
    const { superuser } = this.#config;
    const user = this.#options.username ?? this.#env['PGUSER'] ?? (superuser?.username || userName());
    const password = this.#password ?? this.#env['PGPASSWORD'] ?? (user === superuser?.username ? superuser?.password : null);
    const client = new pg.Client({
      host: address.host,
      port: address.port,
      database: this.#options.dbname ?? this.#env['PGDATABASE'] ?? 'postgres',
      user,
      ...(password == null ? {} : { password }),
      ssl,
      application_name: 'Patroni ctl',
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEPALIVE_MS,
    });
    // A lost connection also fails the running query. Without this listener, it would end the
    // process.
    client.on('error', () => {
      if (this.#client === client) this.#client = null;
    });
    return client;
  }
}

/** libpq's variables, by what they set. */
const SSL_VARIABLES = {
  sslmode: 'PGSSLMODE',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslrootcert: 'PGSSLROOTCERT',
} as const;

/** It is what the role that was asked for wants. */
async function plays(client: pg.Client, wanted: RoleChoice): Promise<boolean> {
  if (wanted === 'any' || wanted === 'leader') return true;
  const answer = await client.query<{ standby: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS standby');
  return answer.rows[0]?.standby === (wanted !== 'primary');
}

/** Values become text, except those for which JSON has a form of its own. */
const getTypeParser = ((oid: number) => (text: string) => {
  switch (oid) {
    case 16:
      return text === 't';
    case 20:
    case 21:
    case 23:
    case 26:
      return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
    case 700:
    case 701:
      return Number.isFinite(Number(text)) ? Number(text) : text;
    default:
      return text;
  }
}) as unknown as NonNullable<pg.CustomTypesConfig['getTypeParser']>;

/** What the driver says when the server gave no message. */
const NO_PASSWORD = /client password must be a string/;

/** Several statements in one text: the last one's rows. */
function rowsOf(answer: pg.QueryArrayResult<JsonValue[]> | pg.QueryArrayResult<JsonValue[]>[]): Rows {
  const last = Array.isArray(answer) ? answer.at(-1) : answer;
  return { columns: last?.fields.map((field) => ({ name: field.name })) ?? [], rows: last?.rows ?? [], title: null };
}

/** A wrong name or password. */
const WHO = /^28/;

/** Patronictl prints only the code. `client`: the client that could not connect. */
function failureText(error: unknown, client: pg.Client | null): string {
  const known = ensureError(error);
  const code = 'code' in known && typeof known.code === 'string' && /^[0-9A-Z]{5}$/.test(known.code) ? known.code : null;
  const text = known instanceof AggregateError ? known.errors.map((each) => ensureError(each).message).join('; ') : known.message;
  const asWhom = client !== null && code !== null && WHO.test(code) ? `, as user ${client.user}: name another with -U, or set PGUSER` : '';
  const said = code === null ? text : `${code}, ${text}${asWhom}`;
  const shown = NO_PASSWORD.test(text) ? 'the server asks for a password: set PGPASSWORD, or use --password' : said;
  return `ERROR, SQLSTATE: ${shown.replaceAll('\n', ' ')}`;
}
