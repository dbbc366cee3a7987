export type LogFields = Readonly<Record<string, unknown>>;

/** Messages are sentences for the person on call; fields are for machines. Neither ever holds a password. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  critical(message: string, fields?: LogFields): void;
}
