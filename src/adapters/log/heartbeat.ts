import { isHeartbeat } from '../../core/heartbeat-line.ts';

/**
 * Keeps the regular round quiet, as Patroni does at level INFO. `Lock owner: …` waits for the line
 * after it and is dropped when that is a heartbeat. With `identical`, a heartbeat equal to the one
 * before is dropped as well.
 */
export function createHeartbeatFilter<Line extends { readonly message: string }>() {
  let held: Line | null = null;
  let lastHeartbeat: string | null = null;
  return {
    /** The records to be written now, in order. */
    pass(record: Line, options: { readonly active: boolean; readonly identical: boolean }): readonly Line[] {
      const waiting = held;
      held = null;
      const heartbeat = isHeartbeat(record.message);
      const before = waiting && !(heartbeat && options.active) ? [waiting] : [];
      if (options.active && record.message.startsWith('Lock owner: ')) {
        held = record;
        return before;
      }
      if (heartbeat) {
        if (options.active && options.identical && record.message === lastHeartbeat) return before;
        lastHeartbeat = record.message;
      }
      return [...before, record];
    },
    /** The records that still wait, at the end. */
    drain(): readonly Line[] {
      const waiting = held;
      held = null;
      return waiting ? [waiting] : [];
    },
  };
}
