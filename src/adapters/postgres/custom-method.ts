/**
 * Replica creation by a program of the user's (pgBackRest, WAL-G, a snapshot …), with Patroni's
 * arguments: docs/dialect.md, "Copies".
 */
import type { Source } from '../../core/effects.ts';
import { isTrue } from '../../core/replica-methods.ts';
import { RegentError } from '../../support/errors.ts';
import { lastLines } from '../../support/exec.ts';
import type { JsonObject, JsonValue } from '../../support/json.ts';
import { shellWords } from '../../support/shell-words.ts';
import type { Deps } from './deps.ts';
import { NO_OVERRULING_ENV } from './libpq-environment.ts';
import { copyName, programConnection } from './passfile.ts';

export interface MethodOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly major: number;
}

/** As Python prints it: existing scripts compare with `True`. */
function argument(value: JsonValue): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? 'None');
}

const asArguments = (params: JsonObject): string[] => Object.entries(params).map(([name, value]) => `--${name}=${argument(value)}`);

/**
 * Of a method that makes a replica: the command's words, the user's own keys, and what is `added`,
 * which overrules them. `no_params` is for a program that does not know the added arguments. It
 * gets the user's own keys only, without those that are meant for the agent. Exported for its
 * tests.
 */
export function methodArguments(method: string, options: JsonObject, added: Readonly<Record<string, string>>): string[] {
  const { command, ...rest } = options;
  const { no_params, no_leader: _leader, keep_data: _data, ...own } = rest;
  return [...commandWords(command, method), ...asArguments(isTrue(no_params) ? own : { ...rest, ...added })];
}

/**
 * Of a method that makes a new cluster: what is `added` comes first, and then the user's own keys.
 * Those that are meant for the agent, or that the program gets from it, are none of them.
 */
export function bootstrapArguments(method: string, options: JsonObject, added: Readonly<Record<string, string>>): string[] {
  const {
    command,
    no_params,
    keep_existing_recovery_conf: _keep,
    recovery_conf: _recovery,
    scope: _scope,
    datadir: _dir,
    ...own
  } = options;
  return [...commandWords(command, method), ...asArguments({ ...(isTrue(no_params) ? {} : added), ...own })];
}

function commandWords(command: JsonValue | undefined, method: string): string[] {
  return shellWords(typeof command === 'string' && command !== '' ? command : method);
}

/**
 * Throws CLONE_FAILED with the program's last words. source null: only for methods that work
 * without a leader.
 */
export async function runCustomMethod(deps: Deps, method: string, source: Source | null, options: MethodOptions): Promise<void> {
  const { settings } = deps;
  const connection = source
    ? await programConnection(deps, {
        ...source,
        credentials: settings.postgresql.replication,
        major: options.major,
        applicationName: copyName(settings),
      })
    : null;
  try {
    const [file, ...args] = methodArguments(method, settings.postgresql.methodOptions[method] ?? {}, {
      scope: settings.local.scope,
      role: 'replica',
      datadir: settings.postgresql.dataDir,
      connstring: connection?.conninfo ?? '',
    });
    if (file === undefined) {
      throw new RegentError('CLONE_FAILED', `create_replica_methods names '${method}', which has no command`, {
        mend: `give postgresql.${method}.command`,
      });
    }
    const result = await deps.run(file, args, {
      timeoutMs: options.timeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
      env: { ...NO_OVERRULING_ENV, ...passwordEnv(connection?.env) },
    });
    if (result.code === 0) return;
    const words = lastLines(result.stderr || result.stdout) || 'it said nothing';
    const how = result.cause === 'exit' ? `ended with ${result.code ?? result.signal}` : `was stopped (${result.cause})`;
    throw new RegentError('CLONE_FAILED', `${method} ${how}: ${words}`, {
      policy: 'transient',
      mend: `run ${file} by hand to see what it needs`,
    });
  } finally {
    await connection?.remove();
  }
}

/** The user's program keeps its own locale. */
function passwordEnv(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('PG')));
}
