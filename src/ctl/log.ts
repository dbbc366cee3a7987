/**
 * The tool's own log: standard error, one line for each message, in patronictl's form. Silent below
 * WARNING unless the environment asks for more.
 */
import type { Log, LogFields } from '../ports/log.ts';
import type { CtlIo } from './io.ts';
import { localTime } from './time.ts';

const LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
type Level = (typeof LEVELS)[number];

export function ctlLog(io: CtlIo): Log {
  const threshold = LEVELS.indexOf(levelOf(io.env));
  const at =
    (level: Level) =>
    (message: string, fields?: LogFields): void => {
      if (LEVELS.indexOf(level) < threshold) return;
      const details = Object.entries(fields ?? {}).map(([key, value]) => ` ${key}=${String(value)}`);
      const stamp = localTime(io.clock.wallMs(), 3).replace('.', ',');
      io.stderr.write(`${stamp} - ${level} - ${message}${details.join('')}\n`);
    };
  return { debug: at('DEBUG'), info: at('INFO'), warning: at('WARNING'), error: at('ERROR'), critical: at('CRITICAL') };
}

/** The last of the three that is set wins (docs/dialect.md, "The operator's tool"). */
function levelOf(env: CtlIo['env']): Level {
  const named = env['PATRONI_LOG_LEVEL'] || env['PATRONI_LOGLEVEL'] || env['LOGLEVEL'] || 'WARNING';
  return LEVELS.find((level) => level === named.toUpperCase()) ?? 'WARNING';
}
