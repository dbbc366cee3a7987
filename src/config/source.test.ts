import { writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import { keptLog } from '../../test/fixtures/desk.ts';
import { loadLocal } from './load.ts';
import { createSettingsSource } from './source.ts';

const { write } = configFiles();
let log: ReturnType<typeof keptLog>;

beforeEach(() => {
  log = keptLog();
});

/** Of a file with BASE, in which `text` is written afterwards. */
function sourceThen(text: string) {
  const path = write(BASE);
  const settings = createSettingsSource({ path, env: {}, loaded: loadLocal({ path, env: {} }), log });
  writeFileSync(path, text);
  return settings;
}

test('a sound change is taken over', () => {
  const settings = sourceThen(`${BASE}  parameters: {work_mem: 5MB}\n`);
  expect(settings.reloadRefusal?.()).toBe(null);
  expect(log.lines).toEqual([]);
  expect(settings.reload()).toBe('changed');
  expect(settings.reload()).toBe('same');
  expect(log.lines).toEqual([
    expect.stringMatching(/^info configuration read again from .*p\.yml$/),
    'info No local configuration items changed.',
  ]);
});

test.each([
  [
    'broken',
    BASE.replace('postgresql:', 'postgresq:'),
    /^the configuration was not reloaded, the old one stays in force: warning: .*did you mean 'postgresql'/,
  ],
  [
    'of another cluster',
    BASE.replace('scope: demo', 'scope: other'),
    /^not reloaded: scope changed, and the agent has to be restarted for that$/,
  ],
])('a file that is %s is refused, and nothing else is said', (_, text, words) => {
  const settings = sourceThen(text);
  const refusal = settings.reloadRefusal?.();
  expect(refusal).toMatch(words);
  expect(settings.reload()).toBe('refused');
  expect(log.lines).toEqual([`error ${refusal}`, `error ${refusal}`]);
  expect(settings.local().scope).toBe('demo');
});
