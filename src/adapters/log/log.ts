import { join } from 'node:path';
import type { LogSettings } from '../../core/settings.ts';
import type { Log, LogFields } from '../../ports/log.ts';
import { formatJson, formatPlain, LEVEL_NUMBERS, type Level, type LogRecord } from './format.ts';
import { createHeartbeatFilter } from './heartbeat.ts';
import { createRedactor } from './redact.ts';
import { createFileSink, createStderrSink, type Sink } from './sink.ts';

const FLUSH_TIMEOUT_MS = 2000;

export interface LogOptions {
  /** Everything that must never be printed. Asked again at every reconfigure. */
  readonly secrets?: () => Iterable<string>;
  /** Names that stay readable even where they equal a secret (user names, scope, member name). */
  readonly publicWords?: () => Iterable<string>;
  /** Words that name settings, and stay readable although a secret is a part of them. */
  readonly keyNames?: Iterable<string>;
  /** Name of the file below `log.dir`. */
  readonly fileName?: string;
  /** Where lines go without `log.dir`; standard error. */
  readonly sink?: Sink;
  readonly now?: () => Date;
}

export interface AgentLog extends Log {
  /** The same log, for a part that may have a level of its own (`log.loggers`). */
  named(logger: string): Log;
  /** Settings and secrets may have changed; nothing already logged is lost. */
  reconfigure(settings: LogSettings): void;
  /** Writes what is waiting, or is stuck after 2 s. Call it before the process ends. */
  close(): Promise<{ readonly isStuck: boolean }>;
}

/**
 * Writes to standard error or `<log.dir>/patroni.log`, in the background and in order. Never
 * throws.
 */
export function createLog(initial: LogSettings, options: LogOptions = {}): AgentLog {
  const now = options.now ?? (() => new Date());
  const heartbeats = createHeartbeatFilter<LogRecord>();
  let settings = initial;
  let redact = createRedactor([]);
  let sink: Sink;
  let sinkKey = '';

  const apply = (next: LogSettings) => {
    settings = next;
    redact = createRedactor(options.secrets?.() ?? [], options.publicWords?.() ?? [], options.keyNames);
    const key = JSON.stringify([next.dir, next.fileNum, next.fileSizeBytes, next.mode, next.maxQueueSize]);
    if (key === sinkKey) return;
    const previous = sinkKey === '' ? null : sink;
    sinkKey = key;
    sink = sinkFor(next, options);
    void previous?.close(FLUSH_TIMEOUT_MS);
  };
  const put = (record: LogRecord) =>
    sink.write(redact(settings.type === 'json' ? formatJson(record, settings) : formatPlain(record, settings)));
  const write = (logger: string, level: Level, message: string, fields: LogFields) => {
    const least = levelOf(logger, settings);
    if (LEVEL_NUMBERS[level] < LEVEL_NUMBERS[least]) return;
    const lost = sink.takeLost();
    if (lost > 0) put({ level: 'WARNING', message: `${lost} log messages were lost`, fields: {}, logger: ROOT, at: now() });
    const options = { active: least === 'INFO', identical: settings.deduplicateHeartbeatLogs };
    for (const record of heartbeats.pass({ level, message, fields, logger, at: now() }, options)) put(record);
  };
  const log = (logger: string, level: Level, message: string, fields: LogFields = {}) => {
    const { stack, ...rest } = fields;
    if (typeof stack !== 'string' || settings.tracebackLevel === 'ERROR') return write(logger, level, message, fields);
    write(logger, level, message, rest);
    write(logger, 'DEBUG', stack, {});
  };
  const named = (logger: string): Log => ({
    debug: (message, fields) => log(logger, 'DEBUG', message, fields),
    info: (message, fields) => log(logger, 'INFO', message, fields),
    warning: (message, fields) => log(logger, 'WARNING', message, fields),
    error: (message, fields) => log(logger, 'ERROR', message, fields),
    critical: (message, fields) => log(logger, 'CRITICAL', message, fields),
    masked: (text) => redact(text),
  });

  apply(initial);
  return {
    ...named(ROOT),
    named,
    reconfigure: apply,
    close: async () => {
      for (const record of heartbeats.drain()) put(record);
      return { isStuck: !(await sink.flush(FLUSH_TIMEOUT_MS)) };
    },
  };
}

/** What is said by no part in particular. */
const ROOT = 'patroni';

/** As in Python: that of the logger, or else of the nearest one above it that has one. */
function levelOf(logger: string, { level, loggers }: LogSettings): Level {
  for (let name = logger; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    const own = loggers[name];
    if (own !== undefined) return own;
  }
  return level;
}

function sinkFor(settings: LogSettings, options: LogOptions): Sink {
  const { maxQueueSize } = settings;
  if (settings.dir === null) return options.sink ?? createStderrSink({ maxQueueSize });
  return createFileSink(join(settings.dir, options.fileName ?? 'patroni.log'), {
    sizeBytes: settings.fileSizeBytes,
    keep: settings.fileNum,
    mode: settings.mode,
    maxQueueSize,
  });
}
