import { describe, expect, it } from 'vitest';
import { type Attempt, type RaceResult, race } from './race.ts';
import { manualClock } from './testing.ts';

type Reply = Attempt<string> | 'silent' | { readonly after: number; readonly reply: Attempt<string> };

const answer = (value: string): Attempt<string> => ({ kind: 'answer', value });
const failed = (applied: 'no' | 'maybe' = 'no'): Attempt<string> => ({ kind: 'failed', applied, reason: 'broken' });

/**
 * Runs a race over endpoints that reply as told, the last reply of each for good; time passes by
 * the millisecond.
 */
async function run(timeoutMs: number, replies: Record<string, readonly Reply[]>, untilMs = timeoutMs + 1) {
  const clock = manualClock();
  const asked: Array<[number, string]> = [];
  const failures: string[] = [];
  const abandon = new AbortController();
  const counts = new Map<string, number>();
  let result: RaceResult<string> | null = null;
  let settledAt = 0;
  const aborted: string[] = [];
  const promise = race<string>({
    clock,
    timeoutMs,
    endpoints: () => Object.keys(replies),
    onFailed: (endpoint) => failures.push(endpoint),
    abandon: abandon.signal,
    attempt: (endpoint, signal) => {
      asked.push([clock.monotonicMs(), endpoint]);
      signal.addEventListener('abort', () => aborted.push(endpoint));
      const count = counts.get(endpoint) ?? 0;
      counts.set(endpoint, count + 1);
      const reply = replies[endpoint]![Math.min(count, replies[endpoint]!.length - 1)]!;
      if (reply === 'silent') return new Promise(() => {});
      if ('after' in reply) return new Promise((resolve) => clock.timer(reply.after, () => resolve(reply.reply)));
      return Promise.resolve(reply);
    },
  }).then((settled) => {
    result = settled;
    settledAt = clock.monotonicMs();
  });
  for (let ms = 0; ms <= untilMs && result === null; ms++) {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    if (result === null) clock.advance(1);
  }
  if (result === null) {
    abandon.abort();
    await promise;
  }
  return { result: result as unknown as RaceResult<string>, settledAt, asked, failures, aborted };
}

describe('race', () => {
  it('asks no other endpoint when the first answers', async () => {
    const { result, asked, settledAt } = await run(1000, { a: [answer('A')], b: [answer('B')] });
    expect(result).toEqual({ kind: 'answer', value: 'A', endpoint: 'a', maybeApplied: false });
    expect(asked).toEqual([[0, 'a']]);
    expect(settledAt).toBe(0);
  });

  it('turns to the next after a fraction of the time, and gives the silent ones up once one answers', async () => {
    const { result, settledAt, failures, aborted } = await run(1000, { a: ['silent'], b: ['silent'], c: [answer('C')] });
    expect(result).toEqual({ kind: 'answer', value: 'C', endpoint: 'c', maybeApplied: true });
    expect(settledAt).toBe(500);
    expect(failures).toEqual(['a', 'b']);
    expect(aborted).toEqual(['a', 'b']);
  });

  it('leaves a slow one its whole time', async () => {
    const slow = { after: 900, reply: answer('slow') };
    const { result } = await run(1000, { a: [slow], b: [{ after: 900, reply: failed() }] });
    expect(result).toMatchObject({ kind: 'answer', endpoint: 'a' });
  });

  it('turns to the next at once when one fails, and knows whether something may have been applied', async () => {
    const certain = await run(1000, { a: [failed('no')], b: [answer('B')] });
    expect(certain.result).toMatchObject({ endpoint: 'b', maybeApplied: false });
    expect(certain.settledAt).toBe(0);
    const unsure = await run(1000, { a: [failed('maybe')], b: [answer('B')] });
    expect(unsure.result).toMatchObject({ endpoint: 'b', maybeApplied: true });
  });

  it('asks again after growing pauses until one answers', async () => {
    const { result, asked } = await run(1000, { a: [failed(), failed(), failed(), answer('A')], b: [failed()] });
    expect(result).toMatchObject({ endpoint: 'a', value: 'A' });
    const times = asked.filter(([, endpoint]) => endpoint === 'a').map(([at]) => at);
    expect(times).toEqual([0, 25, 75, 175]);
  });

  it('does not hammer a dead cluster', async () => {
    const { result, asked } = await run(3000, { a: [failed()], b: [failed()], c: [failed('maybe')] });
    expect(result).toMatchObject({ kind: 'timeout', maybeApplied: true });
    expect(asked.length).toBeLessThan(3 * 13);
  });

  it('asks the others again and again while one is silent', async () => {
    const { result, asked } = await run(2000, { a: ['silent'], b: [failed(), failed(), answer('B')] });
    expect(result).toMatchObject({ endpoint: 'b', maybeApplied: true });
    expect(asked.filter(([, endpoint]) => endpoint === 'a')).toHaveLength(1);
  });

  it('repeats what all are silent about: a network that is back is noticed before the deadline', async () => {
    const back = await run(10_000, { a: ['silent', 'silent', 'silent', answer('A')], b: ['silent'] });
    expect(back.result).toMatchObject({ kind: 'answer', endpoint: 'a', maybeApplied: true });
    expect(back.settledAt).toBeLessThan(5000);
    expect(back.failures).toEqual(['b']);
    const short = await run(600, { a: ['silent', answer('A')] });
    expect(short.result).toMatchObject({ kind: 'answer', endpoint: 'a', maybeApplied: true });
    expect(short.failures).toEqual([]);
  });

  it('repeats once a second, replaces the repetition before, and leaves the first its whole time', async () => {
    const slow = { after: 9500, reply: answer('slow') };
    const { result, settledAt, asked, aborted } = await run(10_000, { a: [slow, 'silent'] });
    expect(result).toEqual({ kind: 'answer', value: 'slow', endpoint: 'a', maybeApplied: true });
    expect(settledAt).toBe(9500);
    expect(asked.length).toBeGreaterThan(6);
    expect(asked.length).toBeLessThanOrEqual(10);
    expect(aborted).toHaveLength(asked.length - 1);
  });

  it('does not count a repetition that was replaced as a failure of the endpoint', async () => {
    const { failures } = await run(6000, { a: ['silent'] });
    expect(failures).toEqual(['a']);
  });

  it('ends at the deadline with what is known of each endpoint', async () => {
    const { result, settledAt, failures } = await run(600, { a: ['silent'], b: [failed('no')] });
    expect(result).toMatchObject({ kind: 'timeout', maybeApplied: true });
    expect(result.kind === 'timeout' && [...result.reasons]).toEqual([
      ['b', 'broken'],
      ['a', 'no answer in time'],
    ]);
    expect(settledAt).toBe(600);
    expect(failures).toContain('a');
  });

  it('ends at once when abandoned', async () => {
    const { result, settledAt } = await run(60_000, { a: ['silent'] }, 20);
    expect(result).toMatchObject({ kind: 'timeout' });
    expect(settledAt).toBeLessThan(30);
  });
});
