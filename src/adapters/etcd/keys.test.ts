import { describe, expect, it } from 'vitest';
import { clusterPrefix, decodeText, encodePrefixEnd, encodeText, memberNameOf, namespacePrefix, relativeKey, scopeOf } from './keys.ts';

describe('keys', () => {
  it.each([
    ['service', 'demo', '/service/demo/'],
    ['/service/', 'demo', '/service/demo/'],
    ['//a///b', 'demo', '/a/b/demo/'],
    ['', 'demo', '/demo/'],
  ])('namespace %s, scope %s: %s', (namespace, scope, prefix) => expect(clusterPrefix(namespace, scope)).toBe(prefix));

  it('ends a range after everything that begins with the prefix', () => {
    expect(decodeText(encodePrefixEnd('/service/demo/'))).toBe('/service/demo0');
    const end = Buffer.from(encodePrefixEnd('/service/démo/ÿ'), 'base64');
    expect(Buffer.compare(Buffer.from('/service/démo/ÿ\u{10ffff}'), end)).toBe(-1);
  });

  it('reads any text back', () => {
    expect(decodeText(encodeText('pg-ä\u{1f418}'))).toBe('pg-ä\u{1f418}');
    expect(decodeText(undefined)).toBe('');
  });

  it('counts as members only the keys directly below members/', () => {
    expect(memberNameOf('members/pg-a')).toBe('pg-a');
    expect(memberNameOf('members/pg-a/x')).toBeNull();
    expect(memberNameOf('members/')).toBeNull();
    expect(memberNameOf('leader')).toBeNull();
  });

  it('counts as clusters only prefixes with keys of one', () => {
    const prefix = namespacePrefix('service');
    expect(prefix).toBe('/service/');
    expect(scopeOf(prefix, '/service/demo/leader')).toBe('demo');
    expect(scopeOf(prefix, '/service/demo/members/pg-a')).toBe('demo');
    expect(scopeOf(prefix, '/service/demo/other')).toBeNull();
    expect(scopeOf(prefix, '/service/stray')).toBeNull();
    expect(scopeOf(prefix, '/elsewhere/demo/leader')).toBeNull();
    expect(relativeKey(prefix, '/service/')).toBeNull();
  });
});
