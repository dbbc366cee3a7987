/** A value as it was meant, or what is wrong with it and what to write instead. */
export interface Wrong {
  readonly message: string;
  readonly mend: string;
  /** The key or index below the value that is meant, if only that is wrong. */
  readonly at?: string;
}

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly wrongs: readonly [Wrong, ...Wrong[]] };

export const good = <T>(value: T): Read<T> => ({ ok: true, value });
export const bad = (message: string, mend: string): { readonly ok: false; readonly wrongs: readonly [Wrong] } => ({
  ok: false,
  wrongs: [{ message, mend }],
});

/** The value, unless parts of it are wrong. */
export function unlessWrong<T>(value: T, wrongs: readonly Wrong[]): Read<T> {
  const [first, ...rest] = wrongs;
  return first === undefined ? good(value) : { ok: false, wrongs: [first, ...rest] };
}
