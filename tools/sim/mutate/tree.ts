/** A source as it parses: its nodes with their places in the text, and what has a name in it. */
import { RegentError } from '../../../src/support/errors.ts';

/** A node of the ESTree. Only what a search needs is typed. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** A node, and where it is. */
export interface Placed {
  readonly node: Node;
  /** What it is directly in; null: it is the outermost. */
  readonly parent: Placed | null;
}

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';

/**
 * With the parser of rolldown (oxc), which vitest brings along; TypeScript 7 has no stable API for
 * one. Throws MUTANT_BROKEN when the text is not TypeScript.
 */
export async function parse(file: string, text: string): Promise<Node> {
  const { parseSync } = await import('rolldown/utils').catch(() => {
    throw new RegentError('SIM_BUILD', 'the packages of package-lock.json are not installed', { mend: 'run npm ci' });
  });
  const { program, errors } = parseSync(file, text, { lang: 'ts', preserveParens: false });
  const [error] = errors;
  if (error === undefined) return program as unknown as Node;
  const there = text.slice(error.labels[0]?.start ?? 0).slice(0, 120);
  throw new RegentError('MUTANT_BROKEN', `${file} does not parse: ${error.message}: ${there}`, {
    mend: 'mend the code that the mutant in test/sim/zoo/ puts there',
  });
}

/** By node: a tree is gone through many times. */
const children = new WeakMap<Node, readonly Node[]>();

export function childrenOf(node: Node): readonly Node[] {
  const known = children.get(node);
  if (known !== undefined) return known;
  const found = Object.values(node).flatMap((value) => (Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []));
  children.set(node, found);
  return found;
}

/** The node and all that is inside it, outer ones first. */
export function inside(node: Node, parent: Placed | null = null, found: Placed[] = []): Placed[] {
  const placed = { node, parent };
  found.push(placed);
  for (const child of childrenOf(node)) inside(child, placed, found);
  return found;
}

/** What the node is in, the nearest first. */
export function around({ parent }: Placed): Placed[] {
  const found: Placed[] = [];
  for (let outer = parent; outer !== null; outer = outer.parent) found.push(outer);
  return found;
}

/** The name that a declaration, a member of a class or a property gives; null: none. */
function nameOf(node: Node): string | null {
  const named = /^(FunctionDeclaration|ClassDeclaration|VariableDeclarator)$/.test(node.type) ? node['id'] : null;
  const keyed = /^(MethodDefinition|PropertyDefinition|Property)$/.test(node.type) && node['shorthand'] !== true ? node['key'] : null;
  const name = named ?? keyed;
  if (!isNode(name)) return null;
  if (name.type === 'PrivateIdentifier') return `#${name['name']}`;
  if (name.type === 'Identifier') return String(name['name']);
  return name.type === 'Literal' ? String(name['value']) : null;
}

/** What stands behind a name: the function, the class, or the value, without casts. */
export function meaningOf(node: Node): Node | null {
  const value = node.type === 'VariableDeclarator' ? node['init'] : /Definition$|^Property$/.test(node.type) ? node['value'] : node;
  return isNode(value) ? uncast(value) : null;
}

function uncast(node: Node): Node {
  return /^TS(As|Satisfies|NonNull)Expression$/.test(node.type) && isNode(node['expression']) ? uncast(node['expression']) : node;
}

export const isFunction = ({ type }: Node): boolean => /Function(Declaration|Expression)$/.test(type);

/**
 * What is called that. In a class and in an object only its own members count. In a function, a
 * name may be that of a local or of a property, however deep.
 */
function called(scope: Node, name: string): Placed[] {
  const value = meaningOf(scope) ?? scope;
  const members = value.type === 'ClassDeclaration' && isNode(value['body']) ? value['body'] : value;
  const isOwn = (placed: Placed) => isFunction(value) || around(placed).every(({ node }) => node === members || isTransparent(node));
  return inside(members).filter((placed) => placed.node !== value && nameOf(placed.node) === name && isOwn(placed));
}

const isTransparent = ({ type }: Node): boolean => /^(Export(Named|Default)Declaration|VariableDeclaration)$/.test(type);

/** The node of that name, from the outside in. Null: there is none, or there are several. */
export function named(program: Node, name: string): Placed | null {
  let found: Placed = { node: program, parent: null };
  for (const step of name.split('.')) {
    const [one, ...others] = called(found.node, step);
    if (one === undefined || others.length > 0) return null;
    found = one;
  }
  return found;
}

/** The object literal with that id: a rule, or a row of a table. Null: there is none. */
export function rowOf(program: Node, id: string): Placed | null {
  const hasId = (property: Node) => nameOf(property) === 'id' && meaningOf(property)?.['value'] === id;
  for (const placed of inside(program)) if (placed.node.type === 'ObjectExpression' && childrenOf(placed.node).some(hasId)) return placed;
  return null;
}
