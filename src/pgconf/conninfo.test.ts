import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConninfo } from '../core/conninfo.ts';
import { type ConninfoInput, formatConninfo, passfileLine, primaryConninfo } from './conninfo.ts';

const keyword = fc.stringMatching(/^[a-z_]{1,20}$/).filter((name) => !Object.hasOwn(Object.prototype, name));
const pairs = fc.dictionary(keyword, fc.string({ unit: 'binary' }), { noNullPrototype: true });

const input: ConninfoInput = {
  host: '10.0.0.12',
  port: 5432,
  credentials: { username: 'replicator', password: 'secret', options: {} },
  database: 'postgres',
  applicationName: 'pg-2',
  major: 15,
  passfile: '/var/lib/postgresql/pgpass',
};

describe('the text form', () => {
  test('what is written is read back', () => {
    fc.assert(fc.property(pairs, (values) => void expect(parseConninfo(formatConninfo(values))).toEqual(values)));
  });

  test('reading never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseConninfo(text)));
  });

  test.each([
    ["host = 'a b' port=5433", { host: 'a b', port: '5433' }],
    ["password='it\\'s'  user=\\ x", { password: "it's", user: ' x' }],
    ["dbname=''", { dbname: '' }],
    ['dbname= user=x', { dbname: 'user=x' }],
    ['host=a host=b', { host: 'b' }],
    ['  ', {}],
  ])('%s is read as libpq reads it', (text, expected) => {
    expect(parseConninfo(text)).toEqual(expected);
  });

  test.each(['host', 'host=a port', "host='open", '=x', 'postgresql://a/b'])('%s is refused', (text) => {
    expect(parseConninfo(text)).toBeNull();
  });
});

describe('primary_conninfo', () => {
  test('has the keywords in the order other agents write them, and no password', () => {
    expect(primaryConninfo(input)).toBe(
      'dbname=postgres user=replicator passfile=/var/lib/postgresql/pgpass host=10.0.0.12 port=5432 sslmode=prefer ' +
        'application_name=pg-2 gssencmode=prefer channel_binding=prefer',
    );
    expect(primaryConninfo({ ...input, major: 17 })).toMatch(/ sslnegotiation=postgres$/);
  });

  test('names the Kerberos service where it has another name', () => {
    expect(primaryConninfo({ ...input, krbsrvname: 'pg' })).toMatch(/application_name=\S+ krbsrvname=pg gssencmode/);
    expect(primaryConninfo({ ...input, krbsrvname: null })).not.toContain('krbsrvname');
  });

  test('keywords a libpq does not know are left out', () => {
    const options = { sslmode: 'verify-ca', sslcrldir: '/crl', sslnegotiation: 'direct', sslcert: '' };
    const credentials = { ...input.credentials, options };
    const at = (major: number) => primaryConninfo({ ...input, credentials, major });
    expect(at(13)).toContain('sslmode=verify-ca');
    expect(at(13)).not.toMatch(/sslcrldir|sslnegotiation|sslcert/);
    expect(at(14)).toContain('sslcrldir=/crl');
    expect(at(16)).not.toContain('sslnegotiation');
    expect(at(18)).toContain('sslnegotiation=direct');
  });

  test('never contains the password, whatever it is', () => {
    const password = fc.stringMatching(/^[A-Z]{8,20}$/);
    fc.assert(
      fc.property(password, (secret) => {
        expect(primaryConninfo({ ...input, credentials: { ...input.credentials, password: secret } })).not.toContain(secret);
      }),
    );
  });
});

describe('passfile lines', () => {
  /** libpq's rule: a backslash makes the next character plain, a bare colon ends a field. */
  const fields = (line: string) => {
    const found: string[] = [];
    let field = '';
    for (let i = 0; i < line.length; i += 1) {
      if (line[i] === ':') {
        found.push(field);
        field = '';
      } else {
        if (line[i] === '\\') i += 1;
        field += line[i];
      }
    }
    return [...found, field];
  };

  test('every value survives, or there is no line', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(text, text, text, (host, user, password) => {
        const line = passfileLine(host, 5432, user, password);
        if (/[\n\r\0]/.test(host + user + password)) expect(line).toBeNull();
        else expect(fields(line ?? '')).toEqual([host, '5432', '*', user, password]);
      }),
    );
  });
});
