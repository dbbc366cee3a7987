/**
 * What every command works with: the terminal, the configuration, etcd and the members, opened when
 * first used and closed by main().
 */
import type { ClusterView, Member } from '../core/cluster.ts';
import { memberOf } from '../core/cluster.ts';
import { sleep } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Log } from '../ports/log.ts';
import { shellWord } from '../support/shell-words.ts';
import { isMachine, type MembersFormat } from './choices.ts';
import type { CtlConfig, GlobalOptions } from './config.ts';
import { Aborted, CtlError, usage } from './errors.ts';
import type { CtlIo } from './io.ts';
import { Prompter } from './prompt.ts';
import type { RestClient } from './rest.ts';

/**
 * For one call to etcd: long enough for an election among its members, short enough for someone who
 * waits at a terminal.
 */
export const DCS_TIMEOUT_MS = 4_000;

export interface GroupChoice {
  /** `--group`. */
  readonly given: number | null;
  /** Without it, the configuration's own group is meant. */
  readonly isDefaulted: boolean;
}

/** How the tool was called. */
export interface Called {
  readonly program: string;
  readonly global: GlobalOptions;
  readonly group: GroupChoice;
}

export class Ctx {
  readonly io: CtlIo;
  /** As the tool was called: regentctl or patronictl. */
  readonly program: string;
  /**
   * The same with its global options: the start of a command that can be copied: `patronictl -c
   * /etc/patroni/patroni.yml`.
   */
  readonly called: string;
  readonly log: Log;
  readonly prompter: Prompter;
  readonly #load: () => Promise<CtlConfig>;
  readonly #group: GroupChoice;
  #config: Promise<CtlConfig> | null = null;
  #rest: RestClient | null = null;
  #leaves = false;
  readonly #stores = new Map<string, Promise<Dcs>>();

  constructor(io: CtlIo, { program, global, group }: Called, log: Log, load: () => Promise<CtlConfig>) {
    this.io = io;
    this.program = program;
    this.called = callOf(program, global);
    this.log = log;
    this.prompter = new Prompter(io);
    this.#load = load;
    this.#group = group;
  }

  config(): Promise<CtlConfig> {
    this.#config ??= this.#load();
    return this.#config;
  }

  async rest(): Promise<RestClient> {
    if (!this.#rest) {
      const [{ RestClient }, config] = await Promise.all([import('./rest.ts'), this.config()]);
      this.#rest = new RestClient(config.rest);
    }
    return this.#rest;
  }

  async dcs(cluster: string): Promise<Dcs> {
    const config = await this.config();
    let store = this.#stores.get(cluster);
    if (!store) {
      const group = await this.group();
      store = this.io.openDcs(config, group === null ? cluster : `${cluster}/${group}`, this.log);
      this.#stores.set(cluster, store);
    }
    return store;
  }

  async read(cluster: string): Promise<ClusterView> {
    return (await this.dcs(cluster)).read({ timeoutMs: DCS_TIMEOUT_MS });
  }

  /** Between two looks. Throws Aborted at Ctrl-C. */
  async wait(ms: number): Promise<void> {
    const { clock, signal } = this.io;
    await sleep(clock, ms, signal);
    if (signal.aborted) throw new Aborted();
  }

  /** A group of a Citus cluster is a cluster of its own, below the whole one's name. */
  async group(): Promise<number | null> {
    const { given, isDefaulted } = this.#group;
    return given ?? (isDefaulted ? (await this.config()).citusGroup : null);
  }

  /**
   * Whether a table has Patroni 4.1's positions and lags, or one lag in MB. What is said wins over
   * the name of the tool.
   */
  async showsLsn(option: boolean | undefined, format: MembersFormat): Promise<boolean> {
    return option ?? (await this.config()).listLsn ?? (isMachine(format) || this.program === 'patronictl');
  }

  /** The cluster named on the command line, else the configuration's scope. */
  async cluster(named: string | undefined): Promise<string> {
    const name = named ?? (await this.config()).scope;
    if (!name) throw usage("Missing argument 'CLUSTER_NAME'.");
    return name;
  }

  print(text: string): void {
    this.io.stdout.write(`${text}\n`);
  }

  /** From here on Ctrl-C is the ordinary end of the command. */
  leaveOnInterrupt(): void {
    this.#leaves = true;
  }

  get leavesOnInterrupt(): boolean {
    return this.#leaves;
  }

  async close(): Promise<void> {
    this.prompter.close();
    this.#rest?.close();
    for (const store of this.#stores.values()) {
      await store.then(
        (dcs) => dcs.close(),
        () => undefined,
      );
    }
  }
}

/** The URL of etcd is left out: it may hold a password. */
function callOf(program: string, { configFile, insecure }: GlobalOptions): string {
  return [program, ...(configFile === undefined ? [] : ['-c', shellWord(configFile)]), ...(insecure ? ['-k'] : [])].join(' ');
}

/** The member that holds the leader key; null if it has no member key. */
export function leaderMember(view: ClusterView): Member | null {
  return view.leader ? memberOf(view, view.leader.name) : null;
}

/** The members that can be asked for what any member can do. The leader comes first. */
export function leaderFirst(view: ClusterView): Member[] {
  const leader = leaderMember(view);
  return [...(leader ? [leader] : []), ...view.members.filter((member) => member !== leader)];
}

export function noAnswer(error: unknown): error is CtlError {
  return error instanceof CtlError && (error.code === 'CTL_MEMBER_UNREACHABLE' || error.code === 'CTL_MEMBER_NO_API');
}
