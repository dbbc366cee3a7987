/** What a row of the table of settings says, and the types that follow from the table. */
import type { JsonObject, JsonValue } from '../support/json.ts';
import { show } from './problems.ts';
import type { Read, Wrong } from './read.ts';

/**
 * What a change needs before it is in force. bootstrap: it counts for a new cluster only. A dynamic
 * setting needs nothing: every member takes it over in its next round.
 */
export type Need = 'nothing' | 'reload' | 'restart-postgres' | 'restart-agent' | 'bootstrap';

export interface About {
  /** As it would be written. It is in force where nothing is written, and stands nowhere else. */
  readonly default?: JsonValue;
  /** What counts instead where nothing is written and no value of its own can be named. */
  readonly defaultIs?: JsonValue;
  /** The value is never echoed. */
  readonly secret?: true;
  /**
   * The setting has to be given; an example of it. `key: example` is what the message tells to
   * write.
   */
  readonly required?: string;
  /**
   * What becomes of a value in a node's file that cannot be read. `default`: it counts as not
   * given, with a warning, because nothing dangerous hangs on it. `no-bootstrap`: the same, and
   * this node makes no new cluster. Else the file is refused.
   */
  readonly unreadable?: 'default' | 'no-bootstrap';
  /** Without it, that of the section; without that, a reload. */
  readonly needs?: Need;
  /** Path of what waits for the restart of the agent together with this setting. */
  readonly holds?: string;
  /**
   * Environment variable without `PATRONI_`; null: none. Without it the section's prefix and the
   * key in capitals, where the section has a prefix.
   */
  readonly env?: string | null;
  /** Older names of the variable. */
  readonly formerEnv?: readonly string[];
  /** How the variable is read, where not as the kind of setting has it. */
  readonly envKind?: EnvKind;
  /**
   * Name in core's settings, where it is not the key in camel case. A list: what is made of it by
   * hand, with the section where that is another one; an empty one: nothing.
   */
  readonly as?: string | readonly string[];
}

export type EnvKind = 'text' | 'int' | 'bool' | 'list' | 'map' | 'format';

/** A value as messages may show it. */
export type Show = (value: JsonValue) => string;

export interface Setting<T = unknown, A extends About = About> {
  /** text: a scalar counts as written, not as YAML understood it. */
  readonly kind: 'text' | 'value';
  /** One sentence. */
  readonly doc: string;
  readonly about: A;
  readonly json: JsonObject;
  readonly envKind: EnvKind;
  /** undefined: it counts as not given. */
  readonly read: (value: JsonValue) => Read<T | undefined>;
  /** Findings about a value that can be read. */
  readonly remarks: (value: JsonValue) => readonly Wrong[];
  /** The default as it is read. */
  readonly fallback: T | undefined;
}

export interface SectionAbout {
  /** Of the settings directly in it. */
  readonly needs?: Need;
  /** Prefix of their environment variables. */
  readonly env?: string;
  /** Further keys are the user's own, and are read as they are. */
  readonly open?: true;
}

/** A mapping with known keys. Unknown ones pass; `unknownKeys` reports them. */
export interface Section<S extends Shape = Shape> {
  readonly kind: 'section';
  readonly doc: string;
  readonly about: SectionAbout;
  readonly keys: S;
}

export type Entry = Setting | Section;
export interface Shape {
  readonly [key: string]: Entry;
}

interface Kind<T> {
  readonly kind: 'text' | 'value';
  readonly json: JsonObject;
  readonly envKind: EnvKind;
  readonly read: (value: JsonValue, show: Show) => Read<T | undefined>;
  readonly remarks?: (value: JsonValue, show: Show) => readonly Wrong[];
}

export function setting<T, A extends About>(doc: string, about: A, kind: Kind<T>): Setting<T, A> {
  const echo: Show = (value) => show(value, about.secret ? ['password'] : []);
  const read = (value: JsonValue) => kind.read(value, echo);
  const fallback = about.default === undefined ? undefined : read(about.default);
  if (fallback?.ok === false) throw new TypeError(`${doc}: the default cannot be read: ${fallback.wrongs[0].message}`);
  return {
    kind: kind.kind,
    doc,
    about,
    json: kind.json,
    envKind: about.envKind ?? kind.envKind,
    read,
    remarks: (value) => kind.remarks?.(value, echo) ?? [],
    fallback: fallback?.value,
  };
}

export function section<S extends Shape>(doc: string, about: SectionAbout, keys: S): Section<S> {
  return { kind: 'section', doc, about, keys };
}

/** What is read of a section: undefined where it is not given or cannot be read. */
export type Parsed<S extends Shape> = {
  readonly [K in keyof S]?: (S[K] extends Section<infer B> ? Parsed<B> : S[K] extends Setting<infer T> ? T : never) | undefined;
};

type Camel<K extends string> = K extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : K;
type NameOf<K, A> = A extends { readonly as: infer N } ? (N extends string ? N : never) : Camel<K & string>;

/** The settings of a section under their names in core, defaults filled in; null: not given. */
export type Made<S extends Shape> = {
  readonly [K in keyof S as S[K] extends Setting<unknown, infer A> ? NameOf<K, A> : never]: S[K] extends Setting<infer T, infer A>
    ? A extends { readonly default: JsonValue }
      ? T
      : T | null
    : never;
};

/** Sections within, and what is made by hand, are left out. */
export function made<S extends Shape>(keys: S, parsed: Parsed<S> | undefined): Made<S> {
  const values = Object.entries(keys).flatMap(([key, entry]): [string, unknown][] => {
    if (entry.kind === 'section' || Array.isArray(entry.about.as)) return [];
    return [[namesOf(key, entry)[0]!, parsed?.[key] ?? entry.fallback ?? null]];
  });
  return Object.fromEntries(values) as Made<S>;
}

/** What is made of a setting, by its names in core. */
export function namesOf(key: string, { about }: Setting): readonly string[] {
  if (about.as === undefined) return [key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
  return typeof about.as === 'string' ? [about.as] : about.as;
}

/** Calls `visit` for every setting below, with its path and what the section around it says. */
export function eachSetting(shape: Shape, visit: (path: readonly string[], row: Setting, around: SectionAbout) => void): void {
  const walk = (keys: Shape, path: readonly string[], around: SectionAbout): void => {
    for (const [key, entry] of Object.entries(keys)) {
      if (entry.kind === 'section') walk(entry.keys, [...path, key], entry.about);
      else visit([...path, key], entry, around);
    }
  };
  walk(shape, [], {});
}
