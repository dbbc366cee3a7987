export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Messages are sentences for the person on call; fields are for machines. Neither ever holds a
 * password.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  critical(message: string, fields?: LogFields): void;
  /**
   * The text as it would be logged, for other places where passwords must not stand. Absent: as it
   * is.
   */
  masked?(text: string): string;
}

const nothing = (): void => undefined;

/** For callers that log nothing. */
export const silentLog: Log = { debug: nothing, info: nothing, warning: nothing, error: nothing, critical: nothing };
