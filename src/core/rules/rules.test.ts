import { expect, it } from 'vitest';
import { drawRules } from '../../../tools/draw-rules.ts';

it('is drawn in docs/rules.md as it is (rewrite with vitest -u, and commit only what you understand)', async () => {
  await expect(drawRules()).toMatchFileSnapshot('../../../docs/rules.md');
});
