/**
 * Finds and reads the local configuration: a file, a directory, PATRONI_CONFIGURATION, the
 * environment. Precedence: docs/dialect.md, "Where settings come from".
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { type Environment, readEnvironment, WHOLE_CONFIGURATION } from './env.ts';
import { patchMerge } from './merge.ts';
import { methodsAsList } from './normalize.ts';
import { Places } from './places.ts';
import { type ConfigProblem, type Place, placed, type Severity } from './problems.ts';
import { withNamedSlots } from './slots.ts';
import { decodeUtf8 } from './utf8.ts';
import { parseYaml, type YamlText } from './yaml.ts';

export interface Sources {
  readonly raw: JsonObject;
  readonly places: Places;
  readonly problems: readonly ConfigProblem[];
  /** Text of the log: `patroni.yml, environment`. */
  readonly description: string;
  readonly consumed: readonly string[];
  /** Nothing is set anywhere, and nothing is wrong besides. */
  readonly nothing: boolean;
}

/** More is not a configuration. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Never throws: what cannot be read is a problem. */
export function readSources(path: string | null, env: Environment): Sources {
  const environment = readEnvironment(env);
  const whole = env[WHOLE_CONFIGURATION];
  const consumed = whole === undefined ? environment.consumed : [...environment.consumed, WHOLE_CONFIGURATION];
  if (path === null && whole !== undefined && whole !== '') {
    const text = withLists(parseYaml(whole, WHOLE_CONFIGURATION));
    const nothing = isNothing(text.raw, text.problems);
    return { raw: text.raw, places: text.places, problems: text.problems, description: WHOLE_CONFIGURATION, consumed, nothing };
  }
  const fromEnvironment = Object.keys(environment.raw).length > 0;
  const files = path === null ? null : readPath(path, fromEnvironment);
  const places = files?.places ?? new Places({ file: 'environment', line: null, column: null });
  places.overlay(environment.places);
  const names = [...(files?.names ?? []), ...(fromEnvironment ? ['environment'] : [])];
  const raw = patchMerge(files?.raw ?? {}, environment.raw);
  const problems = [...(files?.problems ?? []), ...environment.problems];
  return { raw, places, problems, description: names.join(', '), consumed, nothing: isNothing(raw, problems) };
}

function isNothing(raw: JsonObject, problems: readonly ConfigProblem[]): boolean {
  return Object.keys(raw).length === 0 && !problems.some(({ severity, message }) => severity === 'error' && message !== EMPTY);
}

const EMPTY = 'the file is empty';

interface Files {
  readonly raw: JsonObject;
  readonly places: Places;
  readonly problems: readonly ConfigProblem[];
  readonly names: readonly string[];
}

function readPath(path: string, fromEnvironment: boolean): Files {
  const place: Place = { file: path, line: null, column: null };
  const broken = (message: string, mend: string, severity: Severity = 'error'): Files => ({
    raw: {},
    places: new Places(place),
    problems: [placed({ path: [], message, mend, severity }, place)],
    names: [],
  });
  try {
    if (!statSync(path).isDirectory()) return joined(place, [path]);
    const names = readdirSync(path)
      .filter((name) => /\.ya?ml$/.test(name))
      .sort();
    if (names.length === 0) return broken('the directory holds no .yml or .yaml file', 'put one there, or name a file');
    return joined(
      place,
      names.map((name) => join(path, name)),
    );
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      return broken(`cannot be read (${codeOf(error) ?? 'unknown error'})`, 'check the path and its permissions');
    return fromEnvironment
      ? broken('no such file; the environment alone is used', 'correct the path, or leave it out', 'warning')
      : broken('no such file', 'name the configuration file of this node');
  }
}

function joined(place: Place, names: readonly string[]): Files {
  const single = names.length === 1;
  const places = new Places({ ...place, ...(single ? { file: names[0]!, line: 1, column: 1 } : {}) });
  const problems: ConfigProblem[] = [];
  let raw: JsonObject = {};
  for (const name of names) {
    const text = withLists(readText(name));
    problems.push(...text.problems);
    if (text.empty) {
      const finding = {
        path: [],
        message: EMPTY,
        mend: "write settings as 'key: value', such as 'scope: demo'",
        severity: single ? ('error' as const) : ('warning' as const),
      };
      problems.push(placed(finding, { file: name, line: 1, column: 1 }));
    }
    places.overlay(text.places);
    // A null in the first file deletes nothing, and still means absent.
    raw = patchMerge(raw, withNamedSlots(text.raw, raw));
  }
  return { raw, places, problems, names };
}

function withLists(text: YamlText): YamlText {
  const { raw, findings } = methodsAsList(text.raw);
  const told = findings.map((finding) => placed(finding, text.places.of(finding.path)));
  return { ...text, raw, problems: [...text.problems, ...told] };
}

function readText(name: string): YamlText {
  const broken = (message: string, mend: string, { line, column } = { line: 1, column: 1 }): YamlText => ({
    raw: {},
    places: new Places({ file: name, line, column }),
    problems: [placed({ path: [], message, mend, severity: 'error' }, { file: name, line, column })],
    empty: false,
  });
  try {
    if (statSync(name).size > MAX_BYTES)
      return broken('too large for a configuration', `name another file; at most ${MAX_BYTES} bytes are read`);
    const text = decodeUtf8(readFileSync(name));
    if (typeof text === 'string') return parseYaml(text, name);
    const message = `not a UTF-8 text: the byte ${text.byte} (the file may be ${text.looksLike})`;
    return broken(message, `convert it: iconv -f ${text.looksLike} -t UTF-8 ${name} > NEW_FILE`, text);
  } catch (error) {
    return broken(`cannot be read (${codeOf(error) ?? 'unknown error'})`, 'check the path and its permissions');
  }
}
