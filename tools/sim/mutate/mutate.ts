/** Makes a change of a mutant (test/sim/zoo/edit.ts) in the text of a source. */
import type { Change, Edit, Place } from '../../../test/sim/zoo/edit.ts';
import { matches, patternOf } from './pattern.ts';
import { stale } from './stale.ts';
import { around, isFunction, isNode, meaningOf, type Node, named, type Placed, parse, rowOf } from './tree.ts';

/** Puts `code` in the place of what is between the two offsets. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly code: string;
}

export interface Mutated {
  readonly text: string;
  /** As the source was. */
  readonly before: Node;
  /** As it is now. */
  readonly after: Node;
}

/** Throws MUTANT_STALE when the place or the code is not there exactly once, and MUTANT_BROKEN. */
export async function mutate(file: string, text: string, { place, change }: Edit): Promise<Mutated> {
  const before = await parse(file, text);
  const placed = placeIn(before, place);
  if (placed === null) throw stale(place, 'it is not there, or there are several of that name');
  const splices = await splicesOf(text, place, placed, change);
  const changed = [...splices].sort((a, b) => b.start - a.start).reduce(splice, text);
  return { text: changed, before, after: await parse(file, changed) };
}

const splice = (text: string, { start, end, code }: Splice): string => text.slice(0, start) + code + text.slice(end);

function placeIn(program: Node, place: Place): Placed | null {
  if (!('rule' in place)) return named(program, place.name);
  const row = rowOf(program, place.rule);
  return row === null || place.property === undefined ? row : named(row.node, place.property);
}

async function splicesOf(text: string, place: Place, placed: Placed, change: Change): Promise<readonly Splice[]> {
  const { node } = placed;
  const find = (code: string) => only(place, node, code);
  switch (change.kind) {
    case 'value':
      return [instead(valueIn(place, node), `(${change.code})`)];
    case 'body':
      return [answering(bodyOf(place, node), change.code)];
    case 'drop':
      return [listed(text, place, placed)];
    case 'omit':
      return [omitted(text, place, await find(change.code))];
    case 'replace':
      return [replaced(await find(change.code), change.by)];
    case 'insert': {
      const { where, code } = change;
      if (where === 'first') return [opening(place, bodyOf(place, node), code)];
      if ('before' in where) return [beside(place, await find(where.before), 'start', code)];
      return [beside(place, await find(where.after), 'end', code)];
    }
    case 'move': {
      const moved = statementOf(place, await find(change.code));
      const code = text.slice(moved.node.start, moved.node.end);
      return [instead(moved.node, ''), beside(place, await find(change.after), 'end', code)];
    }
  }
}

async function only(place: Place, scope: Node, code: string): Promise<Placed> {
  const found = matches(scope, await patternOf(code));
  const [one] = found;
  if (one === undefined || found.length > 1) throw stale(place, `found ${found.length} times instead of once: ${code}`);
  return one;
}

const instead = ({ start, end }: Node, code: string): Splice => ({ start, end, code });

function valueIn(place: Place, node: Node): Node {
  const value = node.type === 'VariableDeclarator' ? node['init'] : node['value'];
  if (isNode(value)) return value;
  throw stale(place, 'it is no constant or property with a value');
}

function bodyOf(place: Place, node: Node): Node {
  const value = meaningOf(node);
  const body = value !== null && isFunction(value) ? value['body'] : null;
  if (isNode(body)) return body;
  throw stale(place, 'it is no function');
}

const answering = (body: Node, code: string): Splice =>
  instead(body, body.type === 'BlockStatement' ? `{ return (${code}); }` : `(${code})`);

function opening(place: Place, body: Node, code: string): Splice {
  if (body.type !== 'BlockStatement') throw stale(place, 'its body is an expression, which no statement can precede');
  return { start: body.start + 1, end: body.start + 1, code: `\n${code}\n` };
}

/** Takes an element out of its list, with the comma behind it. */
function listed(text: string, place: Place, { node, parent }: Placed): Splice {
  const list = parent?.node;
  if (list?.type !== 'ArrayExpression' || !Array.isArray(list['elements'])) throw stale(place, 'it is not an element of a list');
  const next: unknown = list['elements'][list['elements'].indexOf(node) + 1];
  if (isNode(next)) return { start: node.start, end: next.start, code: '' };
  return { start: node.start, end: text.lastIndexOf(']', list.end - 1), code: '' };
}

function omitted(text: string, place: Place, placed: Placed): Splice {
  const parent = placed.parent?.node;
  if (parent?.type === 'LogicalExpression') {
    const other = parent['left'] === placed.node ? parent['right'] : parent['left'];
    if (isNode(other)) return instead(parent, `(${text.slice(other.start, other.end)})`);
  }
  const isStatement = /Statement$/.test(placed.node.type) || parent?.type === 'ExpressionStatement';
  if (!isStatement) throw stale(place, 'what is to be left out is neither a statement nor one side of && or ||');
  return instead(statementOf(place, placed).node, '{}');
}

/** By a statement where it is one, else by an expression. */
function replaced({ node, parent }: Placed, by: string): Splice {
  if (parent?.node.type === 'ExpressionStatement') return instead(parent.node, `${by};`);
  return instead(node, /(Statement|Declaration)$/.test(node.type) ? by : `(${by})`);
}

/** The statement that the code is, or is in. */
function statementOf(place: Place, placed: Placed): Placed {
  const statement = [placed, ...around(placed)].find(({ node }) => /Statement$|^VariableDeclaration$/.test(node.type));
  if (statement !== undefined) return statement;
  throw stale(place, 'there is no statement around it');
}

function beside(place: Place, placed: Placed, side: 'start' | 'end', code: string): Splice {
  const { node, parent } = statementOf(place, placed);
  if (!Array.isArray(parent?.node['body'])) throw stale(place, 'it does not stand in a block of statements');
  return { start: node[side], end: node[side], code: `\n${code}\n` };
}
