/**
 * Replication connections that a cut in the network has left behind. TCP repeats what was lost
 * after pauses that double. So after the healing nothing may come for as long as the cut lasted.
 * The agents' own links are up again by then, and tell that the way is free. So both ends give up a
 * connection on which nothing has come since before the cut, and PostgreSQL makes a new one.
 */
import { sameName } from '../cluster.ts';
import type { Context } from '../context.ts';
import type { Effect } from '../effects.ts';
import type { Silence } from './link-facts.ts';

export function stuckStreams(c: Context): readonly Effect[] {
  return c.isStandby ? stuckReceiver(c) : stuckSenders(c);
}

/** Its walreceiver has a connection, or waits for one, from before it heard the leader again. */
function stuckReceiver({ o, otherLeader, fenced }: Context): readonly Effect[] {
  const { sql } = o.pg;
  const { heard } = o.links;
  if (sql === null || otherLeader === null || fenced || heard?.silence === undefined || !sameName(heard.leader, otherLeader)) return [];
  const sinceMs = o.nowMs - heard.silence.untilMs;
  const { receiver, connecting } = sql;
  const isStuck = receiver?.silentMs !== undefined && receiver.silentMs > sinceMs;
  const pid = isStuck ? receiver.pid : connecting !== undefined && connecting.ageMs > sinceMs ? connecting.pid : undefined;
  return pid === undefined ? [] : [{ kind: 'end-receiver', pid }];
}

/** While the former walsender of a standby is there, its slot lets no other one in. */
function stuckSenders({ o, m }: Context): readonly Effect[] {
  const { sql } = o.pg;
  return (sql?.replication ?? []).flatMap(({ pid, applicationName: name }): readonly Effect[] => {
    const silence = silenceOf(o.links.silences, name);
    const reply = m.replies[pid];
    // What was seen before the silence says nothing yet: the next round may see a new reply.
    const isStuck = silence !== undefined && reply !== undefined && reply.sinceMs < silence.untilMs && reply.seenAtMs < silence.untilMs;
    return isStuck ? [{ kind: 'end-walsender', pid, name }] : [];
  });
}

function silenceOf(silences: ReadonlyMap<string, Silence>, name: string): Silence | undefined {
  return [...silences].find(([member]) => sameName(member, name))?.[1];
}
