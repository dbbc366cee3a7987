import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCommands, scriptOf } from './extract.ts';
import { COPY, ORIGINAL, readIfThere, titleOf, tutorialBlocks } from './tutorial.ts';

describe('the tutorial', () => {
  it('is the same in the copy and beside the checkout', () => {
    const original = readIfThere(ORIGINAL) ?? readFileSync(COPY, 'utf8');
    const same = original === readFileSync(COPY, 'utf8');
    expect(same, 'the tutorial has changed: cp ../shared/tutorial.md test/tutorial/tutorial.md, then mend test/tutorial/*.test.ts').toBe(
      true,
    );
  });

  it('names every block in a way of its own, and every command can be read', () => {
    const blocks = tutorialBlocks();
    expect(new Set(blocks.map(titleOf)).size).toBe(blocks.length);
    for (const block of blocks.filter((one) => one.language === 'bash' && scriptOf(one) === null)) {
      expect(readCommands(block).length, titleOf(block)).toBeGreaterThan(0);
    }
  });
});
