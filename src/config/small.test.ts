import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEndpoint } from './build-etcd.ts';
import { isLoopback, parseAddress, unbracketed } from './hostport.ts';
import { readOptions } from './options.ts';
import { maskText, redact } from './redact.ts';
import { editDistance, nearest } from './suggest.ts';

describe('parseAddress', () => {
  it.each<[string, number | null, string[], number]>([
    ['127.0.0.1:5432', null, ['127.0.0.1'], 5432],
    ['*:1', null, ['*'], 1],
    ['host', 5432, ['host'], 5432],
    ['a,b-c.d:65535', null, ['a', 'b-c.d'], 65535],
    ['[::1]:5432', null, ['::1'], 5432],
    ['[::1]', 7, ['::1'], 7],
    ['[::1],10.0.0.1:5432', null, ['::1', '10.0.0.1'], 5432],
    [' 10.0.0.1 , localhost:9 ', null, ['10.0.0.1', 'localhost'], 9],
    ['h: 9', null, ['h'], 9],
    ['[fe80::1%eth0]:9', null, ['fe80::1%eth0'], 9],
  ])('%s', (text, fallback, hosts, port) => {
    expect(parseAddress(text, fallback, 'x:1')).toEqual({ ok: true, value: { hosts, port, remark: null } });
  });

  it.each([
    '',
    ':5432',
    'host',
    'host:',
    'host:0',
    'host:65536',
    'host:5e3',
    'a,,b:1',
    '[::1',
    '[x]:1',
    'a b:1',
    'http://h:1',
    'h/x:1',
    '-h:1',
  ])('refuses %j', (text) => {
    expect(parseAddress(text, null, 'x:1').ok).toBe(false);
  });

  it.each<[string, number | null, string[], number, string]>([
    ['::1:8008', null, ['::1'], 8008, '[::1]:8008'],
    [':::8008', null, ['::'], 8008, '[::]:8008'],
    ['fd00::10:5432', 5432, ['fd00::10'], 5432, '[fd00::10]:5432'],
    ['::1', 5432, ['::1'], 5432, '[::1]:5432'],
    ['2001:db8::7', 5432, ['2001:db8::7'], 5432, '[2001:db8::7]:5432'],
    ['2001:db8:0:0:0:0:0:7', 5432, ['2001:db8:0:0:0:0:0:7'], 5432, '[2001:db8:0:0:0:0:0:7]:5432'],
    ['::1,127.0.0.1:5433', 5432, ['::1', '127.0.0.1'], 5433, '[::1],127.0.0.1:5433'],
    ['127.0.0.1,::1', 5432, ['127.0.0.1', '::1'], 5432, '127.0.0.1,[::1]:5432'],
  ])('reads %s, which lacks brackets', (text, fallback, hosts, port, write) => {
    const read = parseAddress(text, fallback, '0.0.0.0:8008');
    expect(read).toMatchObject({ ok: true, value: { hosts, port, remark: { mend: `write '${write}'` } } });
    // What is told to be written is read without a remark, and as the same.
    expect(parseAddress(write, null, '')).toEqual({ ok: true, value: { hosts, port, remark: null } });
  });

  it.each([
    ['::1', "write '[::1]:8008'"],
    ['[::1]', "write host:port, such as '0.0.0.0:8008'"],
    ['2001:db8::7:0', "write '[2001:db8::7:0]:8008'"],
  ])('tells the port that %s lacks', (text, mend) => {
    expect(parseAddress(text, null, '0.0.0.0:8008')).toMatchObject({ ok: false, wrongs: [{ message: 'the port is missing', mend }] });
  });

  it('takes every address where a host may be left out', () => {
    expect(parseAddress(':8008', null, '', true)).toMatchObject({
      value: { hosts: ['*'], port: 8008, remark: { mend: "write '*:8008'" } },
    });
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => typeof parseAddress(text, 1, 'x:1').ok === 'boolean'));
  });
});

it.each([
  ['localhost', true],
  ['127.1.2.3', true],
  ['::1', true],
  ['10.0.0.1', false],
  ['127', false],
])('isLoopback %s: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

it.each([
  ['[::1]', '::1'],
  ['::1', '::1'],
  ['h', 'h'],
  ['[::1],[::2]', '[::1],[::2]'],
])('unbracketed %s: %s', (host, expected) => {
  expect(unbracketed(host)).toBe(expected);
});

describe('readEndpoint', () => {
  it.each([
    ['h', 'http://h:2379'],
    ['h:1', 'http://h:1'],
    ['[::1]:1', 'http://[::1]:1'],
    ['https://h', 'https://h:2379'],
    ['http://h:80', 'http://h:80'],
    ['https://h:443/', 'https://h:443'],
    ['http://u:p%40@h:5', 'http://h:5'],
  ])('%s', (text, url) => {
    expect(readEndpoint(text, {})).toMatchObject({ ok: true, value: { url } });
  });

  it('takes user and password out of the URL', () => {
    expect(readEndpoint('http://u:p%40@h:5', {})).toMatchObject({ value: { username: 'u', password: 'p@' } });
  });

  it.each(['ftp://h', 'http://', '*:1', 'a,b:1', ''])('refuses %j', (text) => {
    expect(readEndpoint(text, {}).ok).toBe(false);
  });
});

describe('readOptions', () => {
  it.each([
    [
      ['data-checksums', '--no-locale', { encoding: 'UTF8' }, 'auth=scram-sha-256'],
      ['data-checksums', 'no-locale', 'encoding=UTF8', 'auth=scram-sha-256'],
    ],
    [
      { checkpoint: 'fast', verbose: null, label: "'x y'", n: 5, progress: true },
      ['checkpoint=fast', 'verbose', 'label=x y', 'n=5', 'progress'],
    ],
    [[], []],
  ])('%j', (value, expected) => {
    const read = readOptions(value, []);
    expect(read.ok && read.value.map(({ name, value: text }) => (text === null ? name : `${name}=${text}`))).toEqual(expected);
  });

  it.each([[5], ['x'], [[5]], [[{}]], [[{ a: 1, b: 2 }]], [['a b']], [[{ a: [] }]], [['pgdata']], [[{ '--pgdata': 'x' }]], [['-D']]])(
    'refuses %j',
    (value) => {
      expect(readOptions(value, ['pgdata']).ok).toBe(false);
    },
  );
});

describe('nearest', () => {
  const keys = ['parameters', 'pg_hba', 'listen', 'ttl', 'connect_address'];
  it.each([
    ['parametrs', 'parameters'],
    ['pghba', 'pg_hba'],
    ['pg-hba', 'pg_hba'],
    ['LISTEN', 'listen'],
    ['lisetn', 'listen'],
    ['tll', 'ttl'],
    ['conect_adress', 'connect_address'],
    ['banana', null],
    ['x'.repeat(5000), null],
    ['', null],
  ])('%s: %s', (word, expected) => {
    expect(nearest(word, keys)).toBe(expected);
  });

  it('distance is a metric up to swaps: zero for equal words, the same both ways, at most the longer length', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe('redact', () => {
  it('masks by key and by shape, and nothing else', () => {
    expect(
      redact({
        restapi: { authentication: { username: 'u', password: 's3' }, keyfile_password: 's3' },
        etcd3: { url: 'http://u:s3@h:1', password: 12 },
        postgresql: {
          parameters: { password_encryption: 'scram-sha-256', ssl_passphrase_command: 'cat /x', x: "host=h password='s 3' user=u" },
          methods: ['--password=s3', 'b'],
        },
        empty: { password: '' },
      }),
    ).toEqual({
      restapi: { authentication: { username: 'u', password: '********' }, keyfile_password: '********' },
      etcd3: { url: 'http://u:********@h:1', password: '********' },
      postgresql: {
        parameters: { password_encryption: 'scram-sha-256', ssl_passphrase_command: 'cat /x', x: 'host=h password=******** user=u' },
        methods: ['--password=********', 'b'],
      },
      empty: { password: '' },
    });
  });

  it('masks connection strings in any text', () => {
    expect(maskText('postgres://u:pw@h/db and PASSWORD: pw, done')).toBe('postgres://u:********@h/db and PASSWORD: ********, done');
    expect(maskText('http://u:p@w@h:1 is lost')).toBe('http://u:********@h:1 is lost');
    expect(maskText("'u:pw@h:1',v:p@w@i:2 at 10:30, http://h:1 and a@b")).toBe(
      "'u:********@h:1',v:********@i:2 at 10:30, http://h:1 and a@b",
    );
  });
});
