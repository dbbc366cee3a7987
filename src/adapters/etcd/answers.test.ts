import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstDocument, judge } from './answers.ts';

const fault = (code: number, message: string) => JSON.stringify({ error: message, message, code });
const inStream = (code: number, message: string) => `${JSON.stringify({ error: { grpc_code: code, http_code: 503, message } })}\n`;

describe('judge', () => {
  it('takes an answer with the header of etcd', () => {
    const verdict = judge({ status: 200, text: ' {"header":{"cluster_id":"1","raft_term":"2"},"count":"1"}' });
    expect(verdict).toMatchObject({ kind: 'ok', answer: { count: '1', header: { raft_term: '2' } } });
  });

  it('unwraps the first document of a stream', () => {
    const text = '{"result":{"header":{"cluster_id":"1"},"ID":"7","TTL":"30"}}\n{"result":{}}\n';
    expect(judge({ status: 200, text })).toMatchObject({ kind: 'ok', answer: { ID: '7', TTL: '30' } });
  });

  it.each([
    [404, fault(5, 'etcdserver: requested lease not found'), 'lease-gone'],
    [400, fault(3, 'etcdserver: user name is empty'), 'token'],
    [401, fault(16, 'etcdserver: invalid auth token'), 'token'],
    [400, fault(3, 'etcdserver: revision of auth store is old'), 'token'],
    [400, fault(3, 'etcdserver: authentication failed, invalid user ID or password'), 'refused'],
    [403, fault(7, 'etcdserver: permission denied'), 'refused'],
    [400, fault(3, 'etcdserver: request is too large'), 'refused'],
    [412, fault(9, 'etcdserver: authentication is not enabled'), 'auth-off'],
    [503, fault(14, 'etcdserver: request timed out'), 'unavailable'],
    [500, fault(2, 'context deadline exceeded'), 'unavailable'],
    [500, fault(2, 'not a primary lessor'), 'unavailable'],
    [400, fault(3, 'something nobody has heard of'), 'unavailable'],
    [200, inStream(14, 'etcdserver: no leader'), 'unavailable'],
    [200, inStream(5, 'etcdserver: requested lease not found'), 'lease-gone'],
    [404, '404 page not found', 'unavailable'],
    [502, '<html>Bad Gateway</html>', 'unavailable'],
    [200, 'OK', 'unavailable'],
    [200, '', 'unavailable'],
    [200, '{}', 'unavailable'],
    [200, '{"result":[]}', 'unavailable'],
    [500, '{"header":{"cluster_id":"1"}}', 'unavailable'],
  ])('HTTP %i %s is %s', (status, text, kind) => expect(judge({ status, text }).kind).toBe(kind));

  it('says that nothing was applied only where etcd refuses before it proposes', () => {
    expect(judge({ status: 503, text: fault(14, 'etcdserver: no leader') })).toMatchObject({ applied: 'no' });
    expect(judge({ status: 429, text: fault(8, 'etcdserver: too many requests') })).toMatchObject({ applied: 'no' });
    expect(judge({ status: 503, text: fault(14, 'etcdserver: leader changed') })).toMatchObject({ applied: 'maybe' });
    expect(judge({ status: 502, text: 'Bad Gateway' })).toMatchObject({ applied: 'maybe' });
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.integer({ min: 100, max: 599 }), fc.string(), (status, text) => void judge({ status, text })));
    fc.assert(fc.property(fc.json(), (text) => void judge({ status: 200, text })));
  });
});

describe('firstDocument', () => {
  it('finds the object before other lines, and nothing in other texts', () => {
    expect(firstDocument('\n {"a":1}\n{"b":2}')).toEqual({ a: 1 });
    expect(firstDocument('{"a":\n1}')).toEqual({ a: 1 });
    expect(firstDocument('[1]')).toBeNull();
    expect(firstDocument('{"a":')).toBeNull();
  });
});
