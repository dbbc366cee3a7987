/**
 * Tells in the foreground what happens to the nodes, as anybody could see it from outside: one line
 * a change.
 */
import { type NodeView, viewNode } from './observe.ts';
import type { DemoPlan } from './plan.ts';

const POLL_MS = 500;

export type Views = ReadonlyMap<string, NodeView | null>;

function leaderOf(views: Views): string | null {
  for (const [name, view] of views) if (view?.isLeader) return name;
  return null;
}

/**
 * What a newcomer should know of the step from one picture to the next. Two leaders are never
 * waited out: both are named.
 */
export function changes(before: Views, after: Views, leaderBefore: string | null): string[] {
  const lines: string[] = [];
  for (const [name, now] of after) {
    const then = before.get(name) ?? null;
    if (then !== null && now === null) lines.push(`${name} does not answer any more`);
    else if (now !== null && !now.isLeader && now.state !== then?.state)
      lines.push(`${name} is ${now.state}${then === null ? ' (back)' : ''}`);
  }
  const leaders = [...after].filter(([, view]) => view?.isLeader);
  for (const [name, view] of leaders) {
    const then = before.get(name) ?? view;
    const changed =
      name !== leaderBefore || view?.timeline !== (then?.timeline ?? view?.timeline) || view?.isStandbyLeader !== then?.isStandbyLeader;
    if (changed) lines.push(`${name} is the ${view?.isStandbyLeader ? 'standby leader' : 'leader'}, timeline ${view?.timeline ?? '?'}`);
  }
  return lines;
}

export class Chronicle {
  readonly #plan: DemoPlan;
  readonly #write: (text: string) => void;
  #timer: NodeJS.Timeout | null = null;
  #views: Views = new Map();
  #leader: string | null = null;
  #looking = false;

  constructor(plan: DemoPlan, write: (text: string) => void) {
    this.#plan = plan;
    this.#write = write;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), POLL_MS);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const seen = await Promise.all(this.#plan.nodes.map(async (node) => [node.name, await viewNode(node)] as const));
    this.#looking = false;
    if (this.#timer === null) return;
    const now = new Map(seen);
    if (this.#views.size > 0) {
      const clock = new Date().toTimeString().slice(0, 8);
      for (const line of changes(this.#views, now, this.#leader)) this.#write(`${clock} ${line}\n`);
    }
    this.#views = now;
    this.#leader = leaderOf(now) ?? this.#leader;
  }
}
