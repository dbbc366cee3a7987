import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { manualClock } from '../etcd/testing.ts';
import { cachingLookup, type Resolve } from './lookup.ts';

function make() {
  const clock = manualClock();
  const pending: Array<Parameters<Resolve>[1]> = [];
  const lookup = cachingLookup(clock, { freshMs: 600_000, resolve: (_host, done) => pending.push(done) });
  const ask = (all = true) =>
    new Promise<unknown>((resolve) => lookup('etcd-1', { all }, (error, address) => resolve(error ? error.message : address)));
  const one = (address: string): LookupAddress[] => [{ address, family: 4 }];
  return { clock, pending, ask, one };
}

describe('cachingLookup', () => {
  it('asks once, then answers from memory', async () => {
    const { pending, ask, one } = make();
    const first = ask();
    pending.shift()!(null, one('10.0.0.1'));
    expect(await first).toEqual(one('10.0.0.1'));
    expect(await ask()).toEqual(one('10.0.0.1'));
    expect(await ask(false)).toBe('10.0.0.1');
    expect(pending).toHaveLength(0);
  });

  it('asks once for all that wait for the same name, and tells each what came of it', async () => {
    const { pending, ask, one } = make();
    const failed = [ask(), ask()];
    expect(pending).toHaveLength(1);
    pending.shift()!(Object.assign(new Error('timed out'), { code: 'EAI_AGAIN' }), []);
    expect(await Promise.all(failed)).toEqual(['timed out', 'timed out']);
    const later = [ask(), ask()];
    expect(pending).toHaveLength(1);
    pending.shift()!(null, one('10.0.0.1'));
    expect(await Promise.all(later)).toEqual([one('10.0.0.1'), one('10.0.0.1')]);
  });

  it('refreshes in the background and keeps the old answer while the resolver is dead', async () => {
    const { clock, pending, ask, one } = make();
    const first = ask();
    pending.shift()!(null, one('10.0.0.1'));
    await first;
    clock.advance(600_000);
    expect(await ask(), 'at once, though the resolver has not answered').toEqual(one('10.0.0.1'));
    expect(await ask()).toEqual(one('10.0.0.1'));
    expect(pending, 'one refresh at a time').toHaveLength(1);
    pending.shift()!(new Error('SERVFAIL'), []);
    expect(await ask()).toEqual(one('10.0.0.1'));
    expect(pending).toHaveLength(0);
    clock.advance(30_000);
    await ask();
    pending.shift()!(null, one('10.0.0.2'));
    expect(await ask()).toEqual(one('10.0.0.2'));
  });

  it('passes the error of a first look-up on and asks again next time', async () => {
    const { pending, ask, one } = make();
    const failing = ask();
    pending.shift()!(new Error('ENOTFOUND'), []);
    expect(await failing).toBe('ENOTFOUND');
    const next = ask();
    pending.shift()!(null, one('10.0.0.1'));
    expect(await next).toEqual(one('10.0.0.1'));
  });
});
