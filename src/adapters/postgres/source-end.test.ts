import { expect, it } from 'vitest';
import { lsn } from '../../../test/support/build.ts';
import type { SourceHistory } from '../../core/postgres-facts.ts';
import { canTell } from './source-end.ts';

const end = { timeline: 1, checkpointLsn: lsn(900), open: false };
const history: SourceHistory = { name: 'b', systemIdentifier: '7', timeline: 1, lsn: lsn(2000), history: [], inRecovery: false };

it('asks a member only while it takes writes, and the server outside of a standby cluster always', () => {
  const remote = { remote: { others: [], slot: null } };
  const asks = (inRecovery: boolean, source: object) => canTell(source, { ...history, inRecovery }, end);
  expect([asks(false, {}), asks(true, {}), asks(false, remote), asks(true, remote)]).toEqual([true, false, true, true]);
});

it('asks nobody for WAL past the point where the source left that timeline', () => {
  const left = { ...history, timeline: 2, history: [{ timeline: 1, switchLsn: lsn(800), reason: '' }] };
  expect(canTell({}, left, end)).toBe(false);
});
