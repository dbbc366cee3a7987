/**
 * docs/rules.md from the rule table: what an operator reads, checked against the code by
 * src/core/rules/rules.test.ts.
 */
import { sections } from '../src/core/rules/index.ts';
import { tablesBehindRules } from '../src/core/rules/tables.ts';

const cell = (text: string) =>
  text.replaceAll('|', '\\|').replaceAll('{me}', 'ME').replaceAll('{leader}', 'LEADER').replaceAll('{scope}', 'SCOPE');

export function drawRules(): string {
  const lines = [
    '# The rules',
    '',
    'Drawn from `src/core/rules/` by `vitest run --project unit src/core/rules -u`; do not edit. Sections',
    'and rules stand in order. The first rule that applies decides a round of an agent. Its id and',
    'sentence are the log line, the `regent_last_rule` metric, and the answer to "why". Order matters:',
    'what keeps a node from being writable comes first.',
    '',
    '```mermaid',
    'flowchart TD',
    ...sections.map((section, i) => `  s${i}["${section.title}"]${i < sections.length - 1 ? ` -- none applies --> s${i + 1}` : ''}`),
    '```',
    '',
  ];
  let number = 0;
  for (const { title, situation, rules } of sections) {
    lines.push(`## ${title}`, '', ...wrapped(`When: ${situation}.`), '', '| # | rule | and when | it says |', '|--:|--|--|--|');
    for (const rule of rules) lines.push(`| ${++number} | \`${rule.id}\` | ${cell(rule.situation)} | ${cell(rule.because)} |`);
    lines.push('');
  }
  lines.push(...drawTables());
  return `${lines.join('\n').trimEnd()}\n`;
}

function drawTables(): string[] {
  const lines = [
    '# The tables behind the rules',
    '',
    ...wrapped(
      'Some situations have many outcomes. Each such rule has tables of its own. In each of them the first row that applies decides. Its id then stands in the place of the rule’s id: in the log, in `regent_last_rule` and in GET /patroni.',
    ),
    '',
  ];
  for (const { title, situation, rows } of tablesBehindRules) {
    lines.push(`## ${title}`, '', ...wrapped(`When: ${situation}.`), '', '| row | and when | verdict |', '|--|--|--|');
    for (const { id, situation: when, verdict } of rows) lines.push(`| \`${id}\` | ${cell(when)} | ${verdict} |`);
    lines.push('');
  }
  return lines;
}

const COLUMNS_MAX = 100;

/** Lines of at most 100 columns, as every paragraph of the documents has them. */
function wrapped(text: string): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= COLUMNS_MAX) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
