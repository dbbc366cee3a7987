/**
 * One command line, typed to the real patronictl and to ours: the same keys in one etcd, the same
 * members that answer the same. No PostgreSQL.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { createSystemClock } from '../../../src/adapters/clock/system.ts';
import { createEtcdDcs } from '../../../src/adapters/etcd/store.ts';
import { requireEtcd } from '../../../src/ctl/config.ts';
import { identifyServer } from '../../../src/ctl/identify.ts';
import type { CtlIo } from '../../../src/ctl/io.ts';
import { main } from '../../../src/ctl/main.ts';
import { reachTcp } from '../../../src/ctl/reach.ts';
import { exchange } from '../../../src/support/http.ts';
import type { JsonValue } from '../../../src/support/json.ts';
import { type FakeAnswer, type FakeMembers, type RunResult, startMembers } from '../../fixtures/ctl.ts';
import { type EtcdCluster, startEtcd } from './etcd.ts';
import { type Patronictl, startPatronictl } from './patronictl.ts';

/** Values by key below `/service/`; texts as they are, everything else as JSON. */
export type Keys = Readonly<Record<string, JsonValue>>;

export interface Typed {
  readonly words: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly keys: Keys;
  /** By `POST /restart`, or `pg1 POST /restart`; anything else is a 404. */
  readonly rest?: Readonly<Record<string, FakeAnswer | string>>;
  /** Texts of files whose names stand in `words` as `%name`. */
  readonly files?: Readonly<Record<string, string>>;
  /** Without `-c`. */
  readonly bare?: boolean;
}

/** What a run said and did. */
export interface Told extends RunResult {
  /** etcd's keys afterwards. */
  readonly keys: Readonly<Record<string, string>>;
  /** `pg1 POST /restart {...}`, in order. */
  readonly asked: readonly string[];
}

const CALL = { timeoutMs: 5000, connectMs: 5000 };
const base64 = (text: string) => Buffer.from(text).toString('base64');
const plain = (text: string | undefined) => Buffer.from(text ?? '', 'base64').toString();

export class BothTools {
  readonly patronictl: Patronictl;
  readonly members: FakeMembers;
  readonly #etcd: EtcdCluster;
  readonly #home: string;

  constructor(etcd: EtcdCluster, members: FakeMembers, patronictl: Patronictl, home: string) {
    this.#etcd = etcd;
    this.members = members;
    this.patronictl = patronictl;
    this.#home = home;
    const hosts = etcd.endpoints.map((url) => url.replace('http://', '')).join(',');
    writeFileSync(join(home, 'ctl.yml'), `scope: demo\netcd3:\n  hosts: ${hosts}\n`);
  }

  async theirs(typed: Typed): Promise<Told> {
    return this.#told(typed, (argv, env) => this.patronictl.run({ argv, input: typed.input ?? '', env }));
  }

  async ours(typed: Typed): Promise<Told> {
    return this.#told(typed, (argv, env) => this.#main(argv, typed.input ?? '', env));
  }

  async close(): Promise<void> {
    this.patronictl.close();
    await this.members.stop();
    await this.#etcd.close();
    rmSync(this.#home, { recursive: true, force: true });
  }

  async #told(typed: Typed, run: (argv: string[], env: Record<string, string>) => Promise<RunResult>): Promise<Told> {
    await this.#put(typed.keys);
    this.members.asked.length = 0;
    this.members.answer(({ member, what }) => {
      const rest = typed.rest ?? {};
      return rest[`${member} ${what}`] ?? rest[what] ?? { status: 404, text: 'not prepared' };
    });
    for (const [name, text] of Object.entries(typed.files ?? {})) writeFileSync(join(this.#home, name), text, { mode: 0o755 });
    const placed = (word: string) => (word.startsWith('%') ? join(this.#home, word.slice(1)) : word);
    const words = typed.words.map(placed);
    const env = Object.fromEntries(Object.entries(typed.env ?? {}).map(([name, value]) => [name, placed(value)]));
    const { code, out, err } = await run(typed.bare ? words : ['-c', join(this.#home, 'ctl.yml'), ...words], env);
    const asked = this.members.asked.map(({ member, what, body }) => `${member} ${what} ${body}`.trimEnd());
    return { code, out: this.#clean(out), err: this.#clean(err), keys: await this.#keys(), asked };
  }

  /** Places and ports that differ from run to run. */
  #clean(text: string): string {
    return text.replaceAll(this.#home, '/home');
  }

  async #main(argv: readonly string[], input: string, env: Record<string, string>): Promise<RunResult> {
    let out = '';
    let err = '';
    const stdin = new PassThrough();
    stdin.end(input);
    const clock = createSystemClock();
    const io: CtlIo = {
      stdin,
      stdout: {
        write: (text) => {
          out += text;
        },
      },
      stderr: {
        write: (text) => {
          err += text;
        },
      },
      env: { HOME: this.#home, PATH: process.env['PATH'], ...env },
      clock,
      signal: new AbortController().signal,
      openDcs: async (config, scope, log) =>
        createEtcdDcs({ settings: requireEtcd(config), scope, namespace: config.namespace, log, clock }),
      reach: reachTcp,
      identify: identifyServer,
    };
    const code = await main(['node', '/usr/bin/patronictl', ...argv], io);
    return { code, out, err };
  }

  async #put(keys: Keys): Promise<void> {
    await this.#etcdCall('kv/deleterange', { key: base64('/'), range_end: base64('0') });
    for (const [key, value] of Object.entries(keys)) {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      await this.#etcdCall('kv/put', { key: base64(`/service/${key}`), value: base64(text) });
    }
  }

  async #keys(): Promise<Record<string, string>> {
    const answer = await this.#etcdCall('kv/range', { key: base64('/'), range_end: base64('0') });
    const { kvs = [] } = JSON.parse(answer) as { kvs?: { key: string; value?: string }[] };
    return Object.fromEntries(kvs.map(({ key, value }) => [plain(key), plain(value)]));
  }

  async #etcdCall(path: string, body: Record<string, string>): Promise<string> {
    const url = new URL(`/v3/${path}`, this.#etcd.endpoints[0]);
    return (await exchange(url, { method: 'POST', headers: {}, body: JSON.stringify(body) }, CALL)).text;
  }
}

/** `python`: one that finds the Patroni to compare with. */
export async function startBothTools(python: string): Promise<BothTools> {
  const home = mkdtempSync(join(tmpdir(), 'both-tools-'));
  const [patronictl, etcd, members] = await Promise.all([
    startPatronictl(python, home),
    startEtcd({ members: 1 }),
    startMembers(['pg1', 'pg2', 'pg3']),
  ]);
  return new BothTools(etcd, members, patronictl, home);
}
