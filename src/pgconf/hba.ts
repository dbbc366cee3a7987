/**
 * pg_hba.conf with all its ways in closed, except for replication and for some roles. Format:
 * PostgreSQL's documentation, "The pg_hba.conf File".
 */

/** A field: quoted and unquoted stretches in any order; a comma belongs to the list it is in. */
const FIELD = /(?:"[^"]*"|[^\s"#])+/g;
const ITEM = /(?:"[^"]*"|[^",])+/g;
export const HBA_TYPES: ReadonlySet<string> = new Set(['local', 'host', 'hostssl', 'hostnossl', 'hostgssenc', 'hostnogssenc']);

/**
 * The same rules in the same order, each for replication and for `roles` alone. A rule for a group
 * or a pattern counts as one for each role. Null: it names other files, or has lines that are not
 * understood, and is not narrowed.
 */
export function onlyForReplicationAnd(roles: readonly string[], text: string): string | null {
  const lines: string[] = [];
  for (const line of text.replace(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    const fields = fieldsOf(line);
    if (fields.length === 0) continue;
    const [type, databases, users, ...rest] = fields;
    if (type === undefined || databases === undefined || users === undefined || !HBA_TYPES.has(type) || rest.length === 0) return null;
    if ([...itemsOf(databases), ...itemsOf(users)].some((item) => item.startsWith('@'))) return null;
    const others = itemsOf(databases).filter((item) => item !== 'replication');
    if (others.length < itemsOf(databases).length) lines.push([type, 'replication', users, ...rest].join(' '));
    const meant = others.length === 0 ? [] : roles.filter((role) => itemsOf(users).some((item) => mayBe(role, item)));
    for (const role of meant) lines.push([type, others.join(','), `"${role}"`, ...rest].join(' '));
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Of one line, without its comment. A list goes on behind a comma, also behind blanks. */
export function fieldsOf(line: string): readonly string[] {
  const text = line.replace(/^((?:"[^"]*"|[^"#])*)#.*$/, '$1');
  return text.replace(/("[^"]*")|,\s+/g, (_, quoted: string | undefined) => quoted ?? ',').match(FIELD) ?? [];
}

const itemsOf = (list: string): readonly string[] => list.match(ITEM) ?? [];

const mayBe = (role: string, item: string) => item === 'all' || item === role || item === `"${role}"` || /^"?[+/]/.test(item);
