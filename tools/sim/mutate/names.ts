/**
 * The names in the code that a mutant brings along. Where a field, a local or a parameter was given
 * another name since, that code would ask for something that is not there, and break the agent in
 * another way than it says.
 */
import { dirname, join } from 'node:path';
import { around, childrenOf, inside, isFunction, isNode, type Node, type Placed, parse } from './tree.ts';

/** The text of a source, as the mutant has it by now. */
type Read = (file: string) => Promise<string>;

const LANGUAGE = new Set(
  [globalThis, Object, Promise, Object.prototype, Function.prototype, String.prototype, Number.prototype, BigInt.prototype]
    .concat([Array.prototype, Map.prototype, Set.prototype, Promise.prototype])
    .flatMap((owner) => Object.getOwnPropertyNames(owner)),
);

const isName = ({ type }: Node): boolean => /^(Private)?Identifier$/.test(type);

const namesIn = (scope: Node): Set<string> => new Set(inside(scope).flatMap(({ node }) => (isName(node) ? [String(node['name'])] : [])));

/**
 * Those of the changed source that nothing there has: variables that no scope around them declares,
 * and fields that neither the source nor anything it imports, near or far, knows.
 */
export async function strangeNames(
  read: Read,
  file: string,
  { before, after }: { readonly before: Node; readonly after: Node },
): Promise<readonly string[]> {
  const free = freeVariables(before);
  const variables = [...freeVariables(after)].filter((name) => !free.has(name) && !LANGUAGE.has(name));
  const known = new Set([...namesIn(before), ...assignedIn(after), ...LANGUAGE]);
  const fields = [...fieldsIn(after)].filter((name) => !known.has(name));
  return [...new Set([...variables, ...(await unknownBeyond(read, file, before, fields))])];
}

/** Those of the names that no file knows which this one imports, or which those import in turn. */
async function unknownBeyond(read: Read, file: string, program: Node, names: readonly string[]): Promise<readonly string[]> {
  let strange = names;
  const files = new Set(importsOf(file, program));
  // A set that grows while it is gone through: the nearest come first.
  for (const imported of files) {
    if (strange.length === 0) break;
    const there = await parse(imported, await read(imported));
    const known = namesIn(there);
    strange = strange.filter((name) => !known.has(name));
    for (const further of importsOf(imported, there)) files.add(further);
  }
  return strange;
}

function importsOf(file: string, program: Node): string[] {
  const sources = childrenOf(program).map(({ source }) => (isNode(source) ? String(source['value']) : ''));
  return sources.filter((path) => path.startsWith('.') && path.endsWith('.ts')).map((path) => join(dirname(file), path));
}

/** Variables that are used and that no function around the use, nor the file itself, declares. */
function freeVariables(program: Node): Set<string> {
  const scopes = new Map<Node, ReadonlySet<string>>();
  const declared = (scope: Node) => {
    const names = scopes.get(scope) ?? declaredIn(scope);
    scopes.set(scope, names);
    return names;
  };
  const free = new Set<string>();
  for (const placed of inside(program)) {
    const name = String(placed.node['name']);
    const isDeclared = ({ node }: Placed) => (node === program || isFunction(node)) && declared(node).has(name);
    if (isVariable(placed) && !around(placed).some(isDeclared)) free.add(name);
  }
  return free;
}

const fieldsIn = (program: Node): Set<string> =>
  new Set(
    inside(program)
      .filter((placed) => !isVariable(placed))
      .flatMap(({ node }) => (isName(node) ? [String(node['name'])] : [])),
  );

/** Not the name of a field. */
function isVariable({ node, parent }: Placed): boolean {
  if (node.type !== 'Identifier' || parent === null) return false;
  const { computed, property, key, shorthand } = parent.node;
  return computed === true || shorthand === true || (property !== node && key !== node);
}

/** By a function, in its parameters or however deep inside; by a file, outside of its functions. */
function declaredIn(scope: Node): Set<string> {
  const names = new Set<string>();
  for (const placed of inside(scope)) {
    const { type, id, params, param, local } = placed.node;
    const declared = /^(VariableDeclarator|FunctionDeclaration|ClassDeclaration)$/.test(type) ? [id] : [];
    const given = isFunction(placed.node) && scope.type !== 'Program' && Array.isArray(params) ? params : [];
    const nodes = [...declared, ...given, param, local].filter(isNode);
    if (nodes.length === 0 || (scope.type === 'Program' && around(placed).some(({ node }) => isFunction(node)))) continue;
    for (const node of nodes) for (const name of namesIn(node)) names.add(name);
  }
  return names;
}

/** Fields that something is assigned to. */
function assignedIn(program: Node): string[] {
  const targets = inside(program).map(({ node }) => (node.type === 'AssignmentExpression' ? node['left'] : null));
  return targets.filter(isNode).flatMap((target) => [...namesIn(childrenOf(target).at(-1) ?? target)]);
}
