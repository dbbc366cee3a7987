import { describe, expect, it } from 'vitest';
import { EndpointPool, normaliseEndpoint } from './endpoints.ts';

const [A, B, C] = ['http://a:2379', 'http://b:2379', 'http://c:2379'] as const;

describe('normaliseEndpoint', () => {
  it.each([
    ['http://a:2379/', 'http://a:2379'],
    ['a:2379', 'http://a:2379'],
    ['https://A', 'https://a:2379'],
    ['https://a:443', 'https://a:443'],
    ['http://a:80/x', 'http://a:80'],
    ['http://user:secret@a:2379', 'http://a:2379'],
    ['http://[::1]:2379', 'http://[::1]:2379'],
  ])('%s is %s', (text, endpoint) => expect(normaliseEndpoint(text)).toBe(endpoint));

  it.each(['', 'unix://a', 'http://', 'http://a:b'])("'%s' is none", (text) => expect(() => normaliseEndpoint(text)).toThrow(TypeError));
});

describe('EndpointPool', () => {
  it('starts with the one that last answered and ends with the one that last failed', () => {
    const pool = new EndpointPool([A, B, C, 'http://a:2379/']);
    expect(pool.list()).toEqual([A, B, C]);
    pool.failed(A);
    expect(pool.list()).toEqual([B, C, A]);
    pool.answered(C, 10);
    expect(pool.list()).toEqual([C, B, A]);
    pool.answered(C, 5);
    expect(pool.answeredAt(C)).toBe(10);
    expect(pool.answeredAt(A)).toBeNull();
  });

  it('puts discovered endpoints behind the others, and forgets those that are gone, but never all', () => {
    const pool = new EndpointPool([A]);
    pool.add([B, 'not a url at all', C]);
    expect(pool.list()).toEqual([A, B, C]);
    pool.retain([A, C]);
    expect(pool.list()).toEqual([A, C]);
    pool.retain(['http://elsewhere:1']);
    expect(pool.list()).toEqual([A, C]);
  });

  it('puts no advertised address before a configured one, whichever answered or failed last', () => {
    const pool = new EndpointPool([A]);
    pool.add([B, C], 'advertised');
    pool.answered(C, 10);
    pool.failed(A);
    expect(pool.list()).toEqual([A, C, B]);
    expect([A, B, C].map((endpoint) => [pool.isConfigured(endpoint), pool.isDoubtful(endpoint)])).toEqual([
      [true, true],
      [false, false],
      [false, false],
    ]);
  });

  it('leaves an advertised address of another etcd out until it may be looked at again, and never a configured one', () => {
    const pool = new EndpointPool([A]);
    pool.add([A, B], 'advertised');
    for (const endpoint of [A, B]) pool.refused(endpoint);
    pool.add([B], 'advertised');
    expect(pool.list()).toEqual([A]);
    pool.forgive();
    pool.add([B], 'advertised');
    expect(pool.list()).toEqual([A, B]);
  });

  it('ignores answers and failures of endpoints it has forgotten', () => {
    const pool = new EndpointPool([A]);
    pool.answered(B, 1);
    pool.failed(B);
    expect(pool.list()).toEqual([A]);
  });

  it('reports failures until told to stop', () => {
    const pool = new EndpointPool([A, B]);
    const heard: string[] = [];
    const stop = pool.onSuspicion((endpoint) => heard.push(endpoint));
    pool.failed(B);
    stop();
    pool.failed(A);
    expect(heard).toEqual([B]);
  });
});
