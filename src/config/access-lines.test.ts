/** What is said of lines of pg_hba.conf and pg_ident.conf that PostgreSQL would not read. */
import { describe, expect, it } from 'vitest';
import { BASE } from '../../test/fixtures/config-files.ts';
import { fieldsOf } from '../pgconf/hba.ts';
import { hbaLine, identLine, lineRemarks } from './access-lines.ts';
import { validateDynamicPatch } from './dynamic.ts';
import { examineLocal } from './load.ts';

const said = (line: string, check = hbaLine) => {
  const fields = fieldsOf(line);
  const wrong = fields.length === 0 ? null : check(fields);
  return wrong === null ? null : `${wrong.message}; ${wrong.mend}`;
};

describe('a line of pg_hba.conf', () => {
  it.each([
    '# host',
    'local all all peer map=x',
    'local "all" postgres trust # a comment',
    'host all all 10.0.0.0/8 scram-sha-256',
    'host all all 10/8 md5',
    'host all, postgres  @users ::1/128 md5',
    'host replication replicator 10.0.0.1 255.255.255.255 md5',
    'hostssl all +admins .example.org cert clientcert=verify-full map="a b"',
    'hostnossl all all samenet reject',
    'hostgssenc "a#b" /^u.*$ all gss include_realm=0 krb_realm=X',
    'host all all 0.0.0.0/0 ldap ldapserver=x ldapbindpasswd="a b"',
    'include_dir hba.d',
  ])('is fine: %s', (line) => {
    expect(said(line)).toBeNull();
  });

  const TYPES = 'local, host, hostssl, hostnossl, hostgssenc or hostnogssenc';
  const FORM = "write it as 'host DATABASE USER ADDRESS METHOD' or 'local DATABASE USER METHOD'";
  it.each([
    ['hots all all 10.0.0.0/8 md5', `'hots' is no type of a line: ${TYPES}; write 'host'`],
    ['HOST all all all md5', `'HOST' is no type of a line: ${TYPES}; write 'host'`],
    ['all all md5', `'all' is no type of a line: ${TYPES}; ${FORM}`],
    ['host', `the line ends before the database; ${FORM}`],
    ['local all', `the line ends before the user; ${FORM}`],
    ['host all all', `the line ends before the address; ${FORM}`],
    ['host all all 10.0.0.0/8', `the line ends before the method; ${FORM}`],
    ['host all all 10.0.0.1 md5', "the address 10.0.0.1 has no length of its prefix, and no mask follows it; write '10.0.0.1/32'"],
    ['host all all ::1 md5', "the address ::1 has no length of its prefix, and no mask follows it; write '::1/128'"],
    ['host all all 10.0.0.0/33 md5', "'10.0.0.0/33' is no address with the length of its prefix; write such as '10.0.0.0/8' or '::/0'"],
    ['host all all db1/24 md5', "'db1/24' is no address with the length of its prefix; write such as '10.0.0.0/8' or '::/0'"],
    ['host all all all peer', "the method peer is for lines of type 'local' only; write 'scram-sha-256', or begin the line with 'local'"],
    ['host all all all cert', "the method cert is for lines of type 'hostssl' only; begin the line with 'hostssl'"],
    ['local all all gss', "the method gss is for lines of host types only; write 'peer', or begin the line with 'host'"],
    ['local all all md5 verify-full', 'option 1 after the method is not of the form name=value; correct or remove it'],
    ['include a b', "'include' takes one name of a file or directory; write that alone"],
  ])('is not: %s', (line, expected) => {
    expect(said(line)).toBe(expected);
  });

  it('with a method that is written wrongly is told the nearest', () => {
    expect(said('host all all all scram-sha256')).toMatch(
      /^'scram-sha256' is no authentication method: trust, .* or oauth; write 'scram-sha-256'$/,
    );
  });

  it('shows no password, wherever it stands', () => {
    for (const line of [
      'host all all all ldapbindpasswd=topsecret',
      'host all all x/ldapbindpasswd=topsecret md5',
      'ldapbindpasswd=topsecret',
    ])
      expect(said(line)).toMatch(/^what stands there is no (?!.*topsecret)/);
  });
});

it('a line of pg_ident.conf has three fields', () => {
  expect(said('m "a b" postgres', identLine)).toBeNull();
  expect(said('include x', identLine)).toBeNull();
  expect(said('m', identLine)).toBe("the line ends before the system's user; write it as 'MAP SYSTEM-USER POSTGRES-USER'");
  expect(said('m root', identLine)).toBe("the line ends before PostgreSQL's user; write it as 'MAP SYSTEM-USER POSTGRES-USER'");
});

it('a line may go on behind a backslash', () => {
  const lines = ['host all \\', 'all all md5', 'hots all all all md5'].map((text, index) => ({ text, at: String(index) }));
  expect(lineRemarks(lines, hbaLine).map(({ at }) => at)).toEqual(['2']);
});

it('is warned of with its place, in a file and in the dynamic configuration, for all roles and for one', () => {
  const file = (text: string) => {
    const env = { PATRONI_CONFIGURATION: `${BASE}${text}` };
    return examineLocal({ path: null, env }).problems.map(({ severity, path, message }) => [severity, path, message.slice(0, 6)]);
  };
  expect(file("  pg_hba_replica:\n    - local all all peer\n    - hots all all all md5\n  pg_ident: ['m']\n")).toEqual([
    ['warning', 'postgresql.pg_hba_replica.1', "'hots'"],
    ['warning', 'postgresql.pg_ident.0', 'the li'],
  ]);
  expect(file('bootstrap:\n  method: initdb\n  pg_hba: [x all]\n')).toEqual([['warning', 'bootstrap.pg_hba.0', "'x' is"]]);
  const found = validateDynamicPatch({ postgresql: { pg_hba: ['hots all all all md5'] } });
  expect(found.map(({ severity, path }) => [severity, path])).toEqual([['warning', 'postgresql.pg_hba.0']]);
});
