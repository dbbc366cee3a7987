/** Finds code by how it parses. */
import { inside, isNode, type Node, type Placed, parse } from './tree.ts';

/** Any one expression or statement. */
const ONE = '$';
/** All that follows in a list. */
const REST = '$$';

/** Where a node stands and how it is written, and types, which do nothing. */
const IGNORED = new Set([
  'start',
  'end',
  'range',
  'parent',
  'raw',
  'typeAnnotation',
  'returnType',
  'typeParameters',
  'typeArguments',
  'definite',
]);

/**
 * The one statement that the code is, or the expression if it is no more than that. Throws
 * MUTANT_BROKEN.
 */
export async function patternOf(code: string): Promise<Node> {
  // Inside a method, so that await, return, this and private names may occur.
  const program = await parse('pattern.ts', `class Any { async any() { ${code} } }`);
  const body = inside(program).find(({ node }) => node.type === 'FunctionExpression')?.node['body'];
  const [statement] = isNode(body) && Array.isArray(body['body']) ? body['body'] : [];
  return statement.type === 'ExpressionStatement' ? statement.expression : statement;
}

export function matches(scope: Node, pattern: Node): Placed[] {
  return inside(scope).filter(({ node }) => fits(pattern, node));
}

const isCalled = (node: unknown, name: string): boolean => {
  if (!isNode(node)) return false;
  if (node.type === 'ExpressionStatement') return isCalled(node['expression'], name);
  return node.type === 'Identifier' && node['name'] === name;
};

function fits(pattern: unknown, node: unknown): boolean {
  if (isCalled(pattern, ONE)) return isNode(node);
  if (Array.isArray(pattern)) return Array.isArray(node) && fitsList(pattern, node);
  if (typeof pattern !== 'object' || pattern === null) return Object.is(pattern, node);
  if (typeof node !== 'object' || node === null) return false;
  const there = node as Readonly<Record<string, unknown>>;
  return Object.entries(pattern).every(([field, value]) => IGNORED.has(field) || fits(value, there[field]));
}

function fitsList(patterns: readonly unknown[], nodes: readonly unknown[]): boolean {
  const isOpen = isCalled(patterns.at(-1), REST);
  const fixed = isOpen ? patterns.slice(0, -1) : patterns;
  if (isOpen ? nodes.length < fixed.length : nodes.length !== fixed.length) return false;
  return fixed.every((pattern, i) => fits(pattern, nodes[i]));
}
