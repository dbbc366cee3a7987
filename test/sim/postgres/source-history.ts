/** What a peer's server tells of its history over a replication connection. */
import type { Source } from '../../../src/core/effects.ts';
import type { SourceHistory, TimelineStart, WalEnd } from '../../../src/core/postgres-facts.ts';
import type { Bounded } from '../../../src/ports/postgres.ts';
import type { PostgresParts } from '../postgres.ts';
import { reach, transient } from './transfer.ts';
import { fingerprintAt, hasOurEnd } from './twins.ts';

export type Asked = Bounded & { readonly own?: TimelineStart; readonly end?: WalEnd };

export function askHistory(parts: PostgresParts, source: Source, options: Asked): Promise<SourceHistory> {
  const { sim, gate, clock, server } = parts;
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(options.timeoutMs, () => reject(transient('SOURCE_UNREACHABLE', `${source.name} did not answer`)));
    sim.after(server.parts.net.delay() * 4, () => {
      const from = reach(parts, source);
      if (from === null || from.systemId === null) return;
      const history: SourceHistory = {
        name: source.name,
        systemIdentifier: from.systemId,
        timeline: from.position.branch.timeline,
        lsn: from.position.lsn,
        history: from.position.branch.history,
        inRecovery: from.inRecovery,
        ...fingerprintAt(from, options.own),
        ...hasOurEnd(server, from, options.end, source.remote !== undefined),
      };
      gate.deliver('message', () => {
        cancel();
        resolve(history);
      });
    });
  });
}
