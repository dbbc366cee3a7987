import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HINT, matchGolden, withHint } from './golden.ts';
import { scenarios } from './index.ts';
import { play } from './story.ts';

const here = new URL('.', import.meta.url);

describe('stories', () => {
  test.each(scenarios.map((scenario) => [scenario.id, scenario] as const))(
    '%s',
    async (id, scenario) => {
      await matchGolden(await play(scenario), `${id}.txt`);
    },
    60_000,
  );

  test('a story is the same when it is told again', async () => {
    const scenario = scenarios[0]!;
    expect(await play(scenario)).toBe(await play(scenario));
  });

  test('every text has its scenario', () => {
    const wanted = scenarios.map(({ id }) => `${id}.txt`);
    expect(readdirSync(here).filter((name) => name.endsWith('.txt') && !wanted.includes(name))).toEqual([]);
  });

  test('a difference is reported with the command that accepts it', () => {
    const failure = withHint(new Error('expected this to be that'));
    expect(failure.message).toBe(`${HINT}\n\nexpected this to be that`);
    expect(HINT).toContain('commit only what you understand');
  });
});

describe('docs/scenarios.md', () => {
  const rows = readFileSync(new URL('../../docs/scenarios.md', here), 'utf8')
    .split('\n')
    .filter((line) => /^\| M\d+ /.test(line));

  test('says of each mechanism where it is played, or why not', () => {
    expect(rows.map((row) => row.split('|')[1]?.trim())).toEqual(Array.from({ length: 27 }, (_, index) => `M${index + 1}`));
  });

  test('and names every story in the row of its mechanism', () => {
    for (const { id } of scenarios) {
      const row = rows[Number(/^m(\d\d)-/.exec(id)?.[1]) - 1];
      expect(row, id).toContain(`../test/scenarios/${id}.txt`);
    }
    const named = rows.join('\n').match(/scenarios\/m[\w-]+\.txt/g) ?? [];
    expect(named.length).toBe(scenarios.length);
  });
});
