import fc from 'fast-check';
import { expect, it } from 'vitest';
import { authority, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { type Authority, authorityAfter, mayWriteUntilMs } from '../core/authority.ts';
import { keyRead } from '../core/context.ts';
import type { Decision } from '../core/model.ts';
import { noLinks } from '../core/quorum/link-facts.ts';
import { healthCheck } from '../dialect/health-checks.ts';
import { noCounts } from '../ports/agent-status.ts';
import type { AgentView } from './agent-view.ts';
import { checkFactsOf, freshView } from './check-facts.ts';
import type { LastRound } from './rounds.ts';
import { statusOf } from './status.ts';

const BEGIN_MS = 10_000;
const WALL_MS = 1_800_000_000_000;
const PATHS = ['/', '/primary', '/leader', '/standby-leader', '/replica', '/read-only', '/health', '/sync', '/read-only-quorum', '/async'];
const VIEWS = { mine: view({ leaderName: 'a' }), theirs: view({ leaderName: 'b' }), nobodys: view({}), unknown: null };
const SERVERS = { primary: pg.primary(), standby: pg.standby() };

type LastRead = AgentView['rounds']['lastRead'];

/** Member `a`, of which a test changes what it likes. */
class Scene {
  nowMs = BEGIN_MS;
  wallMs = WALL_MS;
  authority: Authority = authority({ confirmedSentAtMs: BEGIN_MS });
  inForce = settings('a');
  last: LastRound | null = null;
  lastRead: LastRead = null;
  isStopping = false;

  readonly ports = {
    guard: { tethered: null },
    log: {},
    clock: { bootMs: () => this.nowMs, wallMs: () => this.wallMs },
    settings: { current: () => this.inForce },
    watchdog: { healthy: () => true },
  };
  readonly agent: AgentView = this.#agent();
  readonly checkFacts = checkFactsOf(this.ports, this.agent);

  round(key: keyof typeof VIEWS, server: keyof typeof SERVERS): void {
    const seen = VIEWS[key];
    if (seen !== null) {
      this.authority = authorityAfter(this.authority, keyRead(seen, 'a'));
      this.lastRead = { atMs: this.nowMs, wallMs: this.wallMs };
    }
    const { nowMs, inForce } = this;
    const state = { ...observation({ view: seen, pg: SERVERS[server], settings: inForce, nowMs }), authority: this.authority };
    const kept = memory({ role: server === 'primary' ? 'primary' : 'replica', state: 'running' });
    const decision: Decision = {
      ...{ rule: 'x', because: 'y', effects: [], steps: [], chores: [], wakeAtMs: null, watchMembers: false, watchStatus: false },
      memory: kept,
    };
    this.last = { observation: state, decision, askedAtMs: nowMs, endedAtMs: nowMs, nextAtMs: nowMs };
  }

  /** By all that the agent shows of itself, put together anew. */
  codes(): number[] {
    return PATHS.map((path) =>
      healthCheck(path, new Map(), statusOf(this.ports, this.agent), freshView(this.ports, this.agent), this.inForce),
    );
  }

  quickCodes(): number[] {
    const facts = this.checkFacts();
    return PATHS.map((path) => healthCheck(path, new Map(), facts.status, facts.view, facts.settings));
  }

  #agent(): AgentView {
    const scene = this;
    return {
      rounds: {
        get last() {
          return scene.last;
        },
        get lastRead() {
          return scene.lastRead;
        },
        get memory() {
          return scene.last?.decision.memory ?? memory({});
        },
        ...{ count: 1, droppedRequest: null, onEnd: () => () => {} },
      },
      authority: {
        get now() {
          return scene.authority;
        },
      },
      beats: { facts: () => noLinks(Number.NEGATIVE_INFINITY), isIsolated: () => false },
      failsafe: { map: null, asked: async () => ({ kind: 'off' }) },
      job: {
        get isStopping() {
          return scene.isStopping;
        },
        ...{ running: null, isLeaving: false },
      },
      requests: { scheduledRestart: null, reinitialization: null },
      settingsVersion: { revisionInForce: null },
      tally: { counts: noCounts },
    };
  }
}

type Step = (scene: Scene) => void;

const steps = fc.oneof(
  fc.tuple(fc.constantFrom('mine', 'theirs', 'nobodys', 'unknown'), fc.constantFrom('primary', 'standby')).map(
    ([key, server]): Step =>
      (scene) =>
        scene.round(key as keyof typeof VIEWS, server as keyof typeof SERVERS),
  ),
  fc.nat(40_000).map(
    (ms): Step =>
      (scene) => {
        scene.nowMs += ms;
        scene.wallMs += ms;
      },
  ),
  fc.constantFrom<Step>(
    (scene) => {
      const until = mayWriteUntilMs(scene.authority);
      if (Number.isFinite(until)) scene.nowMs = Math.max(scene.nowMs, until);
    },
    (scene) => {
      scene.authority = authorityAfter(scene.authority, { kind: 'lease-forgotten' });
    },
    (scene) => {
      scene.authority = authority({ confirmedSentAtMs: scene.nowMs });
    },
    (scene) => {
      scene.isStopping = !scene.isStopping;
    },
    (scene) => {
      scene.inForce = settings('a', { dynamic: { pause: !scene.inForce.dynamic.pause } });
    },
    (scene) => {
      scene.wallMs += 31_000;
    },
  ),
);

it('answers every check at every moment as the whole status would', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(steps, { minLength: 1, maxLength: 25 }), (changes) => {
      const scene = new Scene();
      for (const change of changes) {
        change(scene);
        const codes = scene.quickCodes();
        expect(codes).toEqual(scene.codes());
        seen.add(codes.join());
      }
    }),
    { numRuns: 300 },
  );
  expect(seen.size).toBeGreaterThan(4);
});

it('gives the same object until something changes, and another at the very moment the lease is over', () => {
  const scene = new Scene();
  scene.round('mine', 'primary');
  const leading = scene.checkFacts();
  expect(leading.status.isLeader).toBe(true);
  scene.nowMs = mayWriteUntilMs(scene.authority) - 1;
  expect(scene.checkFacts()).toBe(leading);
  scene.nowMs += 1;
  expect(scene.checkFacts()).not.toBe(leading);
  expect(scene.checkFacts().status.isLeader).toBe(false);
});

it('counts how old the view is by the loop’s clock: a step of the wall clock neither hides it nor keeps it', () => {
  const scene = new Scene();
  scene.round('theirs', 'standby');
  scene.wallMs += 3_600_000;
  expect(freshView(scene.ports, scene.agent)).toBe(VIEWS.theirs);
  scene.wallMs -= 7_200_000;
  scene.nowMs += 30_001;
  expect(freshView(scene.ports, scene.agent)).toBeNull();
});
