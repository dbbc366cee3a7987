import { expect, test } from 'vitest';
import { RegentError } from '../../support/errors.ts';
import { stateByError } from './probe.ts';

const wrapped = (cause: unknown) => new RegentError('SQL_CONNECT_FAILED', 'could not connect', { cause });
const server = (code: string) => Object.assign(new Error('from the server'), { code, severity: 'FATAL' });
const system = (code: string) => Object.assign(new Error('from the system'), { code });

test.each([
  ['the database system is starting up', wrapped(server('57P03')), 'starting'],
  ['it is shutting down', server('57P01'), 'starting'],
  ['it has crashed', server('57P02'), 'starting'],
  ['nobody listens', wrapped(system('ECONNREFUSED')), 'starting'],
  ['no socket yet', wrapped(system('ENOENT')), 'starting'],
  ['both addresses of a name refuse', wrapped(new AggregateError([system('ECONNREFUSED'), system('ECONNREFUSED')])), 'starting'],
  ['cut off in the middle', new Error('Connection terminated unexpectedly'), 'starting'],
  ['a wrong password', wrapped(server('28P01')), 'running'],
  ['no more connections', wrapped(server('53300')), 'running'],
  ['the connection took too long', new RegentError('SQL_TIMEOUT', 'too long'), 'unresponsive'],
  ['the query took too long', new Error('Query read timeout'), 'unresponsive'],
  ['the server gave up on it', server('57014'), 'unresponsive'],
  ['an error of our own', new TypeError('undefined is not a function'), 'running'],
] as const)('%s', (_, error, state) => {
  expect(stateByError(error)).toBe(state);
});
