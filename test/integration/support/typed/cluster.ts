/** What is typed into both tools, and the keys in etcd and the members' answers it meets. */
import type { JsonObject, JsonValue } from '../../../../src/support/json.ts';
import type { FakeAnswer } from '../../../fixtures/ctl.ts';
import type { Told, Typed } from '../both-tools.ts';
import type { Reason } from './differences.ts';

/** How ours may differ. What is not named must be the same. */
export interface Differs {
  readonly why: Reason;
  /** Exit codes: theirs, ours. */
  readonly code?: readonly [number, number];
  /** Ours says this instead, or besides. */
  readonly out?: RegExp;
  readonly err?: RegExp;
  readonly asked?: RegExp;
  /** Ours writes other keys into etcd. */
  readonly keys?: (keys: Told['keys']) => boolean;
}

export interface TypedCase extends Typed {
  readonly title: string;
  readonly differs: Differs | null;
}

export interface Changes {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly rest?: Readonly<Record<string, FakeAnswer | string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly bare?: boolean;
  /** Keys below /service/demo/; null removes one, an object for a member is merged into it. */
  readonly keys?: Readonly<Record<string, JsonValue>>;
  /** Says what is special, where the line does not. */
  readonly note?: string;
  readonly differs?: Differs;
}

export type TypedCases = (typed: (line: string, changes?: Changes) => void) => void;

/** What a member answers that does as it is told. */
export const DONE: NonNullable<Changes['rest']> = {
  'POST /restart': 'restarted successfully',
  'POST /reload': { status: 202, text: 'reload scheduled' },
  'POST /reinitialize': 'reinitialize started',
  'POST /switchover': 'Successfully switched over to "pg2"',
  'POST /failover': 'Successfully failed over to "pg2"',
  'PATCH /config': '{}',
  'DELETE /switchover': 'scheduled switchover deleted',
  'DELETE /restart': 'scheduled restart deleted',
};

const SYSTEM = '7234567890123456789';

function base(urlOf: (member: string) => string): Record<string, JsonValue> {
  const member = (number: number, more: JsonObject): JsonObject => ({
    conn_url: `postgres://172.20.0.${3 + number}:5432/postgres`,
    api_url: urlOf(`pg${number}`),
    state: 'running',
    version: '4.1.5',
    xlog_location: 67109864,
    timeline: 1,
    ...more,
  });
  const replica = { role: 'replica', receive_lsn: 67109864, replay_lsn: 67109864, replication_state: 'streaming' };
  return {
    initialize: SYSTEM,
    leader: 'pg1',
    config: { ttl: 30, loop_wait: 1, retry_timeout: 10, postgresql: { parameters: { max_connections: 100 } } },
    status: { optime: 67109864 },
    history: [
      [1, 50331808, 'no recovery target specified', '2030-01-02T03:04:05.678901+00:00', 'pg1'],
      [2, 67108960, 'other'],
    ],
    'members/pg1': member(1, { role: 'primary' }),
    'members/pg2': member(2, replica),
    'members/pg3': member(3, replica),
  };
}

/** `~` in a line stands for a blank inside a word. */
export function casesOf(parts: readonly TypedCases[], urlOf: (member: string) => string): TypedCase[] {
  const cases: TypedCase[] = [];
  for (const part of parts) {
    part((line, changes = {}) => {
      const { input, note, differs = null, keys = {}, ...rest } = changes;
      const words = line === '' ? [] : line.split(' ').map((word) => word.replaceAll('~', ' '));
      const shown = [line || '(nothing)', ...(input === undefined ? [] : [`<<< ${JSON.stringify(input)}`]), ...(note ? [`(${note})`] : [])];
      cases.push({ ...rest, title: shown.join(' '), words, input: input ?? '', differs, keys: placed(base(urlOf), keys) });
    });
  }
  return cases;
}

function placed(before: Record<string, JsonValue>, changes: Readonly<Record<string, JsonValue>>): Record<string, JsonValue> {
  const keys: Record<string, JsonValue> = { ...before };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete keys[key];
    else if (key.startsWith('members/')) keys[key] = { ...(keys[key] as JsonObject), ...(value as JsonObject) };
    else keys[key] = value;
  }
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`demo/${key}`, value]));
}
