import { expect, it } from 'vitest';
import { onlyForReplicationAnd } from './hba.ts';

const narrowed = (...lines: string[]) => onlyForReplicationAnd(['postgres'], lines.join('\n'))?.trimEnd().split('\n') ?? null;

it('keeps the rules for replication, and makes every other one a rule for the role', () => {
  expect(
    narrowed(
      '# a comment',
      'local   all             postgres                                peer',
      'local   all             all                                     md5   # everybody',
      'host    replication     replicator      10.0.0.0/8              scram-sha-256',
      'hostssl all,replication all             0.0.0.0/0               cert clientcert=verify-full map="a b"',
    ),
  ).toEqual([
    'local all "postgres" peer',
    'local all "postgres" md5',
    'host replication replicator 10.0.0.0/8 scram-sha-256',
    'hostssl replication all 0.0.0.0/0 cert clientcert=verify-full map="a b"',
    'hostssl all "postgres" 0.0.0.0/0 cert clientcert=verify-full map="a b"',
  ]);
});

it('leaves out what is for others, and keeps the order of what refuses', () => {
  expect(
    narrowed(
      'host all app 0.0.0.0/0 md5',
      'host all all 10.0.0.9/32 reject',
      'host all "app","postgres" all md5',
      'host all +admins 127.0.0.1 255.255.255.255 md5',
    ),
  ).toEqual(['host all "postgres" 10.0.0.9/32 reject', 'host all "postgres" all md5', 'host all "postgres" 127.0.0.1 255.255.255.255 md5']);
});

it('takes quoted words by themselves: a database called replication is none, a comment in quotes is none', () => {
  expect(narrowed('host "replication" all all md5', 'host "a#b" all all md5')).toEqual([
    'host "replication" "postgres" all md5',
    'host "a#b" "postgres" all md5',
  ]);
  expect(narrowed('host all \\', ' all all md5')).toEqual(['host all "postgres" all md5']);
  expect(narrowed('host app, postgres postgres all md5')).toEqual(['host app,postgres "postgres" all md5']);
});

it('does not narrow what it does not understand', () => {
  for (const line of [
    'include other.conf',
    'host @databases all all md5',
    'host all @users all md5',
    'hosts all all all md5',
    'host all all',
  ])
    expect(narrowed(line)).toBeNull();
});

it('keeps a way in for each role that is named', () => {
  const text = 'host all postgres,app 10.0.0.0/8 md5\nhost all all 10.0.0.0/8 md5\n';
  expect(onlyForReplicationAnd(['postgres', 'rewinder'], text)?.trimEnd().split('\n')).toEqual([
    'host all "postgres" 10.0.0.0/8 md5',
    'host all "postgres" 10.0.0.0/8 md5',
    'host all "rewinder" 10.0.0.0/8 md5',
  ]);
});
