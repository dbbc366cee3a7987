import { expect, test } from 'vitest';
import { parseTether } from './tether.ts';

test.each([
  ['tether 4711 3 on', { place: { pid: 4711, fd: 3 }, pulls: true }],
  ['tether 4711 3 off', { place: { pid: 4711, fd: 3 }, pulls: false }],
  ['untethered', { place: null, pulls: false }],
  ['error unknown command', null],
])('the guard’s answer %j', (answer, told) => expect(parseTether(answer)).toEqual(told));
