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
  /** Settings and secrets may have changed; nothing already logged is lost. */
  reconfigure(settings: LogSettings): void;
  /** Writes what is waiting. Call it before the process ends. */
  close(): Promise<void>;
}

/**
 * Writes to standard error or `<log.dir>/patroni.log`, in the background and in order. Never
 * throws.
 */
export function createLog(initial: LogSettings, options: LogOptions = {}): AgentLog {
  const now = options.now ?? (() => new Date());
  const heartbeats = createHeartbeatFilter();
  let settings = initial;
  let redact = createRedactor([]);
  let sink: Sink;
  let sinkKey = '';

  const apply = (next: LogSettings) => {
    settings = next;
    redact = createRedactor(options.secrets?.() ?? [], options.publicWords?.() ?? [], options.keyNames);
    const key = JSON.stringify([next.dir, next.fileNum, next.fileSizeBytes, next.mode]);
    if (key === sinkKey) return;
    const previous = sinkKey === '' ? null : sink;
    sinkKey = key;
    sink = sinkFor(next, options);
    void previous?.close(FLUSH_TIMEOUT_MS);
  };
  const put = (record: LogRecord) =>
    sink.write(redact(settings.type === 'json' ? formatJson(record, settings) : formatPlain(record, settings)));
  const log = (level: Level, message: string, fields: LogFields = {}) => {
    if (LEVEL_NUMBERS[level] < LEVEL_NUMBERS[settings.level]) return;
    const lost = sink.takeLost();
    if (lost > 0) put({ level: 'WARNING', message: `${lost} log messages were lost`, fields: {}, at: now() });
    const options = { active: settings.level === 'INFO', identical: settings.deduplicateHeartbeatLogs };
    for (const record of heartbeats.pass({ level, message, fields, at: now() }, options)) put(record);
  };

  apply(initial);
  return {
    debug: (message, fields) => log('DEBUG', message, fields),
    info: (message, fields) => log('INFO', message, fields),
    warning: (message, fields) => log('WARNING', message, fields),
    error: (message, fields) => log('ERROR', message, fields),
    critical: (message, fields) => log('CRITICAL', message, fields),
    masked: (text) => redact(text),
    reconfigure: apply,
    close: async () => {
      for (const record of heartbeats.drain()) put(record);
      await sink.flush(FLUSH_TIMEOUT_MS);
    },
  };
}

function sinkFor(settings: LogSettings, options: LogOptions): Sink {
  if (settings.dir === null) return options.sink ?? createStderrSink();
  return createFileSink(join(settings.dir, options.fileName ?? 'patroni.log'), {
    sizeBytes: settings.fileSizeBytes,
    keep: settings.fileNum,
    mode: settings.mode,
  });
}
