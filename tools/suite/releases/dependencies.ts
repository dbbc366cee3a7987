/** Which packages must be unpacked so that a program of another release finds its libraries. */

export type Dependencies = ReadonlyMap<string, readonly string[]>;

/** What `apt-cache depends --recurse` prints; of alternatives the first counts. */
export function parseDependencies(text: string): Dependencies {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  let alternative = false;
  for (const line of text.split('\n')) {
    const relation = /^ (?<or>[ |])(?:Pre)?Depends: <?(?<name>[^\s<>:]+)/.exec(line)?.groups;
    if (relation) {
      if (!alternative) current.push(relation['name']!);
      alternative = relation['or'] === '|';
    } else if (/^\S/.test(line)) {
      current = [];
      alternative = false;
      found.set(line.trim().replace(/^<|>$/g, ''), current);
    }
  }
  return found;
}

/** Programs run without the rest: scripts of a package's set-up, locales, compilers of queries. */
const LIBRARY = /^(lib(?!llvm|perl|c-bin|c-l10n)|zlib|python3)/;

/** The wanted packages with the libraries and Python modules they need, each once. */
export function closure(wanted: readonly string[], dependencies: Dependencies): readonly string[] {
  const reached = new Set(wanted);
  for (const name of reached) {
    for (const next of dependencies.get(name) ?? []) if (LIBRARY.test(next) && dependencies.has(next)) reached.add(next);
  }
  return [...reached];
}
