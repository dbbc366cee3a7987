/**
 * Draws the tables of docs/configuration.md from the table of settings, between the marks in the
 * text. src/config/table.test.ts checks that they are as drawn.
 */

import { variableNames } from '../src/config/env.ts';
import type { Entry, Need, Section, SectionAbout, Setting, Shape } from '../src/config/setting.ts';
import { dynamicTable, localTable } from '../src/config/table.ts';
import { postgresDynamicOnly, postgresLocal, postgresShared } from '../src/config/table-postgres.ts';
import { CONTROLLED, type Controlled, WAL_KEEP } from '../src/pgconf/guc-table.ts';

const { postgresql: _, ...dynamicTop } = dynamicTable;

/** By the name in the mark: `<!-- settings: log -->`. */
const TABLES: Readonly<Record<string, { readonly keys: Shape; readonly around: SectionAbout; readonly dynamic?: true }>> = {
  top: { keys: onlySettings(localTable), around: {} },
  etcd3: of(localTable.etcd3),
  restapi: of(localTable.restapi),
  ctl: of(localTable.ctl),
  postgresql: { keys: postgresLocal, around: {} },
  'postgresql everywhere': { keys: { ...postgresShared, ...postgresDynamicOnly }, around: {} },
  bootstrap: of(localTable.bootstrap),
  dynamic: { keys: dynamicTop, around: {}, dynamic: true },
  watchdog: of(localTable.watchdog),
  tags: of(localTable.tags),
  log: of(localTable.log),
};

function of(section: Section) {
  return { keys: section.keys, around: section.about };
}

function onlySettings(shape: Shape): Shape {
  return Object.fromEntries(Object.entries(shape).filter(([, entry]: [string, Entry]) => entry.kind !== 'section'));
}

const NEEDS: Readonly<Record<Need, string>> = {
  nothing: 'nothing',
  reload: 'reload',
  'restart-postgres': 'restart of PostgreSQL',
  'restart-agent': 'restart of the agent',
  bootstrap: 'counts for a new cluster only',
};

/** The text with every table drawn again. */
export function drawSettings(text: string): string {
  return text
    .replace(/(<!-- gucs -->\n)[\s\S]*?(<!-- end of gucs -->)/, (_all, mark: string, end: string) => `${mark}\n${drawGucs()}\n${end}`)
    .replace(/(<!-- settings: (.+?) -->\n)[\s\S]*?(<!-- end of settings -->)/g, (_all, mark: string, name: string, end: string) => {
      const table = TABLES[name];
      if (table === undefined) throw new Error(`no table of settings is named '${name}'`);
      return `${mark}\n${draw(table)}\n${end}`;
    });
}

export const tableNames = Object.keys(TABLES);

function draw({ keys, around, dynamic }: (typeof TABLES)[string]): string {
  const heads = ['key', 'meaning', 'default', ...(dynamic ? [] : ['a change needs', 'variable'])];
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rows = (shape: Shape, above: readonly string[], section: SectionAbout): string[] =>
    Object.entries(shape).flatMap(([key, entry]): string[] => {
      const path = [...above, key];
      const start = [path.map((part) => `\`${part}\``).join('.'), entry.doc];
      if (entry.kind === 'section') return [line([...start, ...heads.slice(2).map(() => '')]), ...rows(entry.keys, path, entry.about)];
      const fallback = entry.about.default ?? entry.about.defaultIs;
      const variables = variableNames(key, entry, section).map((name) => `\`PATRONI_${name}\``);
      const cells = [...start, fallback === undefined ? '' : code(fallback)];
      return [line(dynamic ? cells : [...cells, needOf(entry, section), variables.join(', ')])];
    });
  return `${[line(heads), line(heads.map(() => '---')), ...rows(keys, [], around)].join('\n')}\n`;
}

function needOf({ about }: Setting, around: SectionAbout): string {
  const made = !Array.isArray(about.as) || about.as.length > 0;
  return made ? NEEDS[about.needs ?? around.needs ?? 'reload'] : '';
}

function code(value: unknown): string {
  const text = typeof value === 'string' ? value : Array.isArray(value) ? value.join(', ') : JSON.stringify(value);
  return text === '' || text === '{}' ? '' : `\`${text}\``;
}

function drawGucs(): string {
  const rows = Object.entries(CONTROLLED).map(([name, row]: [string, Controlled]) => {
    const [fallback, range] =
      row.kind === 'own' ? ['from `listen` and `scope`', 'never set by hand'] : [`\`${row.fallback}\``, rangeOf(row)];
    return `| \`${name}\` | ${fallback} | ${range} |`;
  });
  const walKeep = `| \`wal_keep_size\` | \`${WAL_KEEP.fallback}\` | ${WAL_KEEP.segmentMegabytes}MB and more; in the file, a reload will do. \`wal_keep_segments\` is read as so many times ${WAL_KEEP.segmentMegabytes} MB |`;
  return `${['| parameter | default | range |', '| --- | --- | --- |', ...rows, walKeep].join('\n')}\n`;
}

function rangeOf(row: Exclude<Controlled, { kind: 'own' }>): string {
  if (row.kind === 'whole') return `${row.min} to ${row.max}`;
  if (row.kind === 'wal-level') return '`replica`, `logical` (`hot_standby` is read as `replica`)';
  return row.only === undefined ? '`on`, `off`' : `\`${row.only}\``;
}
