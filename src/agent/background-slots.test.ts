import { describe, expect, it } from 'vitest';
import type { ChoreOutcome } from '../core/chores.ts';
import type { LogicalOutcome } from '../core/slots/logical-work.ts';
import type { Postgres } from '../ports/postgres.ts';
import { BackgroundSlots } from './background-slots.ts';

const work = { create: [], advance: [], compare: null };
type Result = Awaited<ReturnType<Postgres['workLogicalSlots']>>;

function scene() {
  const told: { outcome: LogicalOutcome; chore: ChoreOutcome }[] = [];
  const asked: { settle: (result: Result | Error) => void; signal: AbortSignal | undefined }[] = [];
  const slots = new BackgroundSlots(
    {
      clock: { bootMs: () => 7 },
      pg: {
        workLogicalSlots: (_, { signal }) =>
          new Promise((resolve, reject) => {
            asked.push({ settle: (result) => (result instanceof Error ? reject(result) : resolve(result)), signal });
          }),
      },
    },
    (outcome, chore) => told.push({ outcome, chore }),
  );
  const settle = async (result: Result | Error) => {
    asked.at(-1)!.settle(result);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { slots, told, asked, settle };
}

describe('work with logical slots beside the rounds', () => {
  it('is done one at a time, and tells what came of it', async () => {
    const { slots, told, asked, settle } = scene();
    slots.start(work);
    slots.start(work);
    expect(asked).toHaveLength(1);
    await settle({ broken: ['app'], held: null, failures: ['move app: gone', 'create b: no'] });
    expect(told).toEqual([
      {
        outcome: { broken: ['app'], held: null, endedAtMs: 7 },
        chore: { kind: 'logical-slots', ok: false, code: 'SLOTS_FAILED', message: 'move app: gone; create b: no', endedAtMs: 7 },
      },
    ]);
    slots.start(work);
    await settle({ broken: [], held: null, failures: [] });
    expect(told[1]?.chore).toMatchObject({ ok: true, message: null });
  });

  it('that is called off has not failed', async () => {
    const { slots, told, asked, settle } = scene();
    slots.stop();
    slots.start(work);
    slots.stop();
    expect(asked[0]?.signal?.aborted).toBe(true);
    await settle(new Error('the connection is gone'));
    expect(told[0]?.chore.ok).toBe(true);
    slots.start(work);
    expect(asked).toHaveLength(2);
  });
});
