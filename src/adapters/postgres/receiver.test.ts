import { expect, test } from 'vitest';
import { isReceiver } from './receiver.ts';

test('a walreceiver is known by its title, with and without a cluster_name', () => {
  expect(isReceiver('postgres: walreceiver streaming 0/3000148')).toBe(true);
  expect(isReceiver('postgres: demo: walreceiver ')).toBe(true);
  expect(isReceiver('postgres: demo: walreceiver\0')).toBe(true);
  expect(isReceiver('postgres: demo: walwriter ')).toBe(false);
  expect(isReceiver('postgres: demo: walreceivers shop 10.0.0.1(5000) idle')).toBe(false);
  expect(isReceiver('')).toBe(false);
});
