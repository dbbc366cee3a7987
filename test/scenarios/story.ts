/** One mechanism of failure, played on simulated nodes, and told. */
import type { JsonObject } from '../../src/support/json.ts';
import type { Machine } from '../sim/machine.ts';
import { Routing } from '../sim/routing.ts';
import { demoConfig, World, type WorldOptions } from '../sim/world.ts';
import { StoryClient } from './clients.ts';
import { Recorder } from './recorder.ts';
import { SteadyRng } from './steady.ts';

export interface Scenario {
  /** Of the golden file too: mNN-what-happens. */
  readonly id: string;
  /** What goes wrong, in one plain sentence. */
  readonly mechanism: string;
  /** What Regent does about it. */
  readonly answer: string;
  readonly nodes?: readonly string[];
  readonly config?: JsonObject;
  readonly world?: Omit<WorldOptions, 'nodes' | 'config' | 'rng'>;
  /**
   * Does it, waits for the outcome, and asserts what the mechanism demands. `a` leads when it
   * begins.
   */
  readonly play: (story: Story) => Promise<void>;
}

export const quorum: JsonObject = { synchronous_mode: 'quorum' };

/**
 * From a healthy cluster until everything about it has settled: slots, the synchronous set,
 * published positions.
 */
const SETTLE_MS = 10_000;
const START_MS = 60_000;
const BACK_MS = 60_000;
const WIDTH = 140;

export class Story {
  readonly world: World;
  readonly recorder: Recorder;
  readonly client: StoryClient;

  constructor(world: World) {
    this.world = world;
    this.recorder = new Recorder(world);
    this.client = new StoryClient(world, this.recorder);
  }

  get a(): Machine {
    return this.world.node('a');
  }

  get b(): Machine {
    return this.world.node('b');
  }

  get c(): Machine {
    return this.world.node('c');
  }

  /** Milliseconds since the story began. */
  get nowMs(): number {
    return this.recorder.nowMs;
  }

  /** Something is done to the cluster. */
  fault(what: string, run: () => void): void {
    this.recorder.add('FAULT', what);
    this.#do(run);
  }

  /** Something is done by or for people. */
  operator(what: string, run: () => void): void {
    this.recorder.add('operator', what);
    this.#do(run);
  }

  /** Something for the reader to see that no line tells by itself. */
  note(what: string): void {
    this.recorder.add('·', what);
  }

  run(ms: number): Promise<void> {
    return this.world.run(ms);
  }

  /**
   * Runs until it holds; throws when it does not within the limit. Returns the virtual ms it took.
   */
  until(what: string, done: () => boolean, limitMs: number): Promise<number> {
    return this.world.expect(what, done, limitMs);
  }

  leads(machine: Machine, limitMs: number): Promise<number> {
    return this.until(`${machine.name} leads`, () => this.world.leader === machine, limitMs);
  }

  /** All faults are over: everybody is back within a minute, and clients are served. */
  async back(): Promise<void> {
    await this.until('everybody follows one leader', () => this.world.healthy(), BACK_MS);
    const before = this.world.clients.acknowledged.length;
    await this.run(1000);
    if (this.client.running && this.world.clients.acknowledged.length === before) throw new Error('no client is served');
  }

  /** Commits that clients were told are safe, and that the leader does not have. */
  get lost(): number {
    return this.world.clients.missingOn(this.world.primary).length;
  }

  /**
   * A client that stays with that node over one open session, writing every 0.1 s, come what may.
   */
  sessionOn(machine: Machine): void {
    this.world.clients.start({ everyMs: 100, routed: false, stubborn: machine.name });
    this.world.clients.rush(Number.POSITIVE_INFINITY);
  }

  /**
   * HAProxy and the router stand before the cluster; besides the client with its new connections
   * there is one that keeps its session.
   */
  async routed(): Promise<Routing> {
    const { world } = this;
    const routing = new Routing(world);
    world.routing = routing;
    await this.until('HAProxy leads to the leader', () => routing.settled, START_MS);
    world.clients.start({ everyMs: 100, stubborn: null });
    world.clients.rush(Number.POSITIVE_INFINITY);
    return routing;
  }

  /** How many commits that node has acknowledged. */
  ackedBy(machine: Machine): number {
    return this.world.clients.acknowledged.filter(({ node }) => node === machine.name).length;
  }

  cut(from: string, ...to: readonly string[]): void {
    for (const name of to) this.world.net.cut(from, name);
  }

  heal(from: string, ...to: readonly string[]): void {
    for (const name of to) this.world.net.heal(from, name);
  }

  /** How it ended; the last lines of the story. */
  ending(): readonly string[] {
    const { world } = this;
    const { leader } = world;
    const others = world.machines.filter((machine) => machine !== leader).map((machine) => `${machine.name} ${stateOf(machine)}`);
    const lost = leader === null ? [] : [`acknowledged and lost: ${this.lost}`];
    return [
      leader === null
        ? 'leader: nobody'
        : `leader: ${leader.name} on timeline ${leader.server.position.branch.timeline}; ${others.join(', ')}`,
      `clients: ${this.client.summary()}`,
      ...lost,
      `checkers: ${world.checkers.violations.length === 0 ? 'nothing to complain about' : 'violated'}`,
    ];
  }

  #do(run: () => void): void {
    run();
    this.world.sim.touched();
    this.recorder.look();
  }
}

function stateOf({ up, server }: Machine): string {
  if (!up) return 'is off';
  if (server.process === null) return server.dir === 'valid' ? 'is stopped' : `is stopped, its directory ${server.dir}`;
  const { source } = server.replication;
  return source === null ? 'streams from nobody' : `streams from ${source.name}`;
}

/** Plays it and returns the story as text. */
export async function play(scenario: Scenario): Promise<string> {
  const config = { ...demoConfig, ...scenario.config };
  const rng = new SteadyRng('story');
  const world = new World({ ...scenario.world, nodes: scenario.nodes ?? ['a', 'b', 'c'], config, delayMs: [1, 1], rng });
  world.node('a').startAgent();
  await world.expect('a leads', () => world.leader !== null, START_MS);
  world.startAll();
  await world.expect('a healthy cluster', () => world.healthy(), START_MS);
  await world.run(SETTLE_MS);
  const story = new Story(world);
  await scenario.play(story);
  story.client.stop();
  world.clients.stop();
  world.checkers.checkLoss();
  world.checkers.assertClean();
  return tell(scenario, config, story);
}

function tell({ id, mechanism, answer, nodes }: Scenario, config: JsonObject, story: Story): string {
  const size = nodes?.length ?? 3;
  const entries = story.recorder.entries.map(({ atMs, who, what }) => `${seconds(atMs)}  ${who.padEnd(9)}${what}`);
  return [
    ...wrap(`${id.slice(0, 3).toUpperCase()}  ${mechanism}`, '     '),
    ...wrap(`     Regent: ${answer}`, '     '),
    '',
    `     ${size} nodes, a leads; ${settings(config)}. Times in seconds.`,
    '',
    ...entries.flatMap((line) => wrap(line, ' '.repeat(22))),
    '',
    ...story.ending().map((line) => `     ${line}`),
    '',
  ].join('\n');
}

const settings = (config: JsonObject): string =>
  Object.entries(config)
    .map(([name, value]) => `${name} ${JSON.stringify(value).replaceAll('"', '')}`)
    .join(', ');

/** To 10 ms: less than that is nobody's business, and may change with anything. */
const seconds = (ms: number): string => (Math.round(ms / 10) / 100).toFixed(2).padStart(9);

function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = text;
  while (line.length > WIDTH) {
    const at = line.lastIndexOf(' ', WIDTH);
    if (at <= indent.length) break;
    lines.push(line.slice(0, at));
    line = indent + line.slice(at + 1);
  }
  return [...lines, line];
}
