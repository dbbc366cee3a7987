import { createHeartbeatFilter } from '../../src/adapters/log/heartbeat.ts';
import type { Log } from '../../src/ports/log.ts';

/**
 * The log of a simulated agent, as lines with their level. It leaves out heartbeats that say what
 * the one before said: they would fill the end of a trace, which is what people read.
 */
export function agentLog(trace: (line: string) => void): Log {
  const heartbeats = createHeartbeatFilter<{ readonly level: string; readonly message: string }>();
  const at = (level: string) => (message: string) => {
    for (const line of heartbeats.pass({ level, message }, { active: true, identical: true })) trace(`${line.level} ${line.message}`);
  };
  return { debug: () => undefined, info: at('INFO'), warning: at('WARNING'), error: at('ERROR'), critical: at('CRITICAL') };
}
