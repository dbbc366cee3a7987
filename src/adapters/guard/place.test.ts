import { expect, test } from 'vitest';
import { logName } from './place.ts';

const place = { directory: '/tmp/regent-1', key: '0123456789abcdef', socket: '/tmp/regent-1/0123456789abcdef.sock' };

test.each([
  ['demo-pg-1', 'demo-pg-1-0123456789abcdef'],
  ['main/db 1-../pg', 'main_db_1-.._pg-0123456789abcdef'],
  ['größe-ä', 'gr__e-_-0123456789abcdef'],
  ['x'.repeat(300), `${'x'.repeat(100)}-0123456789abcdef`],
  ['', '0123456789abcdef'],
])('the log of %s', (label, name) => {
  expect(logName(place, label)).toBe(name);
});
