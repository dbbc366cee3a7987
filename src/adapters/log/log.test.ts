import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { LogSettings } from '../../core/settings.ts';
import { createLog, type LogOptions } from './log.ts';
import { createRedactor } from './redact.ts';
import { createStderrSink, type Sink } from './sink.ts';

const plain: LogSettings = {
  type: 'plain',
  level: 'INFO',
  format: '%(asctime)s %(levelname)s: %(message)s',
  dateformat: null,
  dir: null,
  fileNum: 4,
  fileSizeBytes: 25_000_000,
  mode: null,
  staticFields: {},
  deduplicateHeartbeatLogs: false,
  loggers: {},
  tracebackLevel: 'ERROR',
  maxQueueSize: 1000,
};
const at = new Date(2026, 2, 5, 7, 8, 9, 12);

function memorySink(): Sink & { readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, write: (line) => lines.push(line), takeLost: () => 0, flush: async () => true, close: async () => {} };
}

function logOf(settings: Partial<LogSettings> = {}, options: LogOptions = {}) {
  const sink = memorySink();
  return { lines: sink.lines, log: createLog({ ...plain, ...settings }, { sink, now: () => at, ...options }) };
}

const scratch: string[] = [];
function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'regent-log-'));
  scratch.push(dir);
  return dir;
}
afterEach(() => {
  for (const dir of scratch.splice(0)) rmSync(dir, { recursive: true, force: true });
});

describe('a plain line', () => {
  it('has the level at offset 24', () => {
    const { log, lines } = logOf();
    log.warning('watch out');
    expect(lines).toEqual(['2026-03-05 07:08:09,012 WARNING: watch out']);
    expect(lines[0]!.slice(24).startsWith('WARNING')).toBe(true);
  });

  it('follows the format and dateformat of the settings', () => {
    const { log, lines } = logOf({
      format: '%(levelname)-8s|%(asctime)s|%(levelno)03d|%(msecs).1f|%%|%(unknown)s|%(message)s',
      dateformat: '%d %b %Y %j',
    });
    log.info('hello');
    expect(lines).toEqual(['INFO    |05 Mar 2026 064|020|12.0|%|%(unknown)s|hello']);
  });

  it('shows fields with errors and warnings, and keeps them off everyday lines', () => {
    const { log, lines } = logOf();
    log.info('started', { pid: 7 });
    log.error('broken', { pid: 7, because: new Error('no disk'), size: 5n });
    expect(lines.map((line) => line.slice(24))).toEqual(['INFO: started', 'ERROR: broken pid=7 because="no disk" size="5"']);
  });

  it('stays silent below the level, and follows a new one at once', () => {
    const { log, lines } = logOf({ level: 'ERROR' });
    log.warning('not shown');
    log.reconfigure({ ...plain, level: 'DEBUG' });
    log.debug('shown');
    expect(lines).toEqual(['2026-03-05 07:08:09,012 DEBUG: shown']);
  });
});

describe('a JSON line', () => {
  it('has what the format names, the fields and the static ones', () => {
    const { log, lines } = logOf({ type: 'json', staticFields: { app: 'db' } });
    log.info('hello', { lsn: 9n });
    expect(JSON.parse(lines[0]!)).toEqual({ asctime: '2026-03-05 07:08:09,012', levelname: 'INFO', message: 'hello', lsn: '9', app: 'db' });
  });

  it('takes a list with renamed attributes', () => {
    const { log, lines } = logOf({ type: 'json', format: '["message",{"levelname":"severity"}]' });
    log.critical('x');
    expect(JSON.parse(lines[0]!)).toEqual({ message: 'x', severity: 'CRITICAL' });
  });

  it('survives cycles', () => {
    const { log, lines } = logOf({ type: 'json' });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    log.info('x', { cycle });
    expect(JSON.parse(lines[0]!)).toMatchObject({ message: 'x' });
  });
});

describe('parts of the agent', () => {
  const at = (loggers: LogSettings['loggers'], level: LogSettings['level'] = 'INFO') => {
    const { log, lines } = logOf({ loggers, level, format: '%(name)s %(message)s' });
    for (const name of ['patroni.ha', 'patroni.dcs.etcd3', 'patroni.api']) log.named(name).debug('d');
    log.named('patroni.ha').error('e');
    log.debug('root');
    return lines;
  };

  it('have levels of their own, or that of the part above, or the general one', () => {
    expect(at({})).toEqual(['patroni.ha e']);
    expect(at({ 'patroni.dcs': 'DEBUG' })).toEqual(['patroni.dcs.etcd3 d', 'patroni.ha e']);
    expect(at({ patroni: 'CRITICAL', 'patroni.api': 'DEBUG' })).toEqual(['patroni.api d']);
    expect(at({ 'patroni.ha': 'CRITICAL' }, 'DEBUG')).toEqual(['patroni.dcs.etcd3 d', 'patroni.api d', 'patroni root']);
  });

  it('write the stack of an unexpected error with it, or at DEBUG', () => {
    const shown = (settings: Partial<LogSettings>) => {
      const { log, lines } = logOf({ ...settings, format: '%(levelname)s %(message)s' });
      log.error('broken', { stack: 'Error: x\n    at y' });
      return lines;
    };
    expect(shown({})).toEqual(['ERROR broken\nError: x\n    at y']);
    expect(shown({ tracebackLevel: 'DEBUG' })).toEqual(['ERROR broken']);
    expect(shown({ tracebackLevel: 'DEBUG', level: 'DEBUG' })).toEqual(['ERROR broken', 'DEBUG Error: x\n    at y']);
  });
});

describe('heartbeats', () => {
  const messages = (lines: readonly string[]) => lines.map((line) => line.slice(line.indexOf(': ') + 2));

  it('swallow the lock owner before them, other lines do not', () => {
    const { log, lines } = logOf();
    log.info('Lock owner: a; I am a');
    log.info('no action. I am (a), the leader with the lock');
    log.info('Lock owner: a; I am a');
    log.info('promoted self to leader');
    expect(messages(lines)).toEqual(['no action. I am (a), the leader with the lock', 'Lock owner: a; I am a', 'promoted self to leader']);
  });

  it('are dropped when identical and asked for', () => {
    const { log, lines } = logOf({ deduplicateHeartbeatLogs: true });
    for (const message of ['no action. 1', 'no action. 1', 'PAUSE: no action. 2', 'no action. 1']) log.info(message);
    expect(messages(lines)).toEqual(['no action. 1', 'PAUSE: no action. 2', 'no action. 1']);
  });

  it('are all shown at DEBUG', () => {
    const { log, lines } = logOf({ level: 'DEBUG', deduplicateHeartbeatLogs: true });
    for (const message of ['Lock owner: a', 'no action. 1', 'Lock owner: a', 'no action. 1']) log.info(message);
    expect(lines).toHaveLength(4);
  });

  it('leave no lock owner behind at the end', async () => {
    const { log, lines } = logOf();
    log.info('Lock owner: a');
    await log.close();
    expect(messages(lines)).toEqual(['Lock owner: a']);
  });
});

describe('secrets', () => {
  it('never appear, in any form', () => {
    // What could be a word or a number is masked where a secret can stand: see below.
    const text = fc
      .tuple(fc.string({ minLength: 4, maxLength: 20 }), fc.constantFrom('!9', '#x', '%4', '"7', '\\e'))
      .map((parts) => parts.join(''))
      .filter((value) => !/^\s|[\p{L}\p{N}_]{3}$/u.test(value) && !'********'.includes(value));
    fc.assert(
      fc.property(text, fc.string(), fc.string(), (secret, before, after) => {
        const redact = createRedactor([secret]);
        for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
          expect(redact(`${before} ${form} ${after}`).includes(form)).toBe(false);
          expect(redact(`${before}x${form}x${after}`).includes(form)).toBe(false);
        }
      }),
    );
  });

  it('are masked in lines and fields, also when JSON escapes them', () => {
    for (const type of ['plain', 'json'] as const) {
      const { log, lines } = logOf({ type }, { secrets: () => ['s3"cret', '0th3r!'] });
      log.error('could not connect with s3"cret', { dsn: 'x 0th3r! y' });
      expect(lines[0]).not.toMatch(/s3|0th3r/);
      expect(lines[0]).toContain('could not connect with');
      expect(log.masked?.('x 0th3r! y')).toBe('x ******** y');
    }
  });

  const LINES = [
    'no action. I am (a), the leader with the lock',
    "testing the latest: 'test' started at 2026-11-28 15:00:00, PostgreSQL 15.8, timeline 1",
    'PATRONI_REPLICATION_PASSWORD: postgresql.authentication.replication.username: required, but not given',
    'p.yml:5:1: postgresql.authentication.replication.password: required, but not given',
    "postgresql.data_dir: write 'data_dir: /srv'",
    'p.yml:9:3: postgresql.pg_hba.0: not a line of pg_hba.conf',
    'with data, and data.base, and metadata; node1 answers from 10.0.0.1:5432',
    'replication refused; following a different leader because I am not the healthiest node',
    '{"level": "INFO", "role": "primary", "state": "running"}',
  ];

  it.each([
    'a',
    '1',
    '.',
    '-',
    'test',
    'the',
    '15',
    '5432',
    'data',
    'replication',
    'PATRONI',
    'sql',
    'leader',
    'node1',
    'running',
    'o',
    'le',
    ' ',
  ])('leave the log readable where one is as common as %j', (secret) => {
    const redact = createRedactor(
      [secret],
      [],
      ['postgresql', 'authentication', 'replication', 'password', 'username', 'data_dir', 'pg_hba'],
    );
    const own = LINES.filter((line) => !line.includes(`"${secret}"`));
    for (const line of own) expect(redact(line)).toBe(line);
  });

  it.each(['a', 'test', '15', 'replication', 'sunshine', 'x9!', 'S3cr3t/pw'])('are masked where a secret can stand, also %j', (secret) => {
    const redact = createRedactor([secret]);
    const url = encodeURIComponent(secret);
    for (const [line, masked] of [
      [`host=h password=${secret} user=x`, 'host=h password=******** user=x'],
      [`host=h sslpassword='${secret}' user=x`, "host=h sslpassword='********' user=x"],
      [`PGPASSWORD=${secret} psql`, 'PGPASSWORD=******** psql'],
      [`password: ${secret}`, 'password: ********'],
      [`keyfile_password: "${secret}"`, 'keyfile_password: "********"'],
      [`{"password": "${secret}", "user": "u"}`, '{"password": "********", "user": "u"}'],
      [`{"dsn": "${secret}", "list": ["${secret}", "u"]}`, '{"dsn": "********", "list": ["********", "u"]}'],
      [`"{\\"dsn\\": \\"${secret}\\"}"`, '"{\\"dsn\\": \\"********\\"}"'],
      [`postgres://u:${url}@h:5432/db`, 'postgres://u:********@h:5432/db'],
      [`http://u:${url}@h:2379`, 'http://u:********@h:2379'],
      [`ALTER ROLE x PASSWORD '${secret}'; --`, "ALTER ROLE x PASSWORD '********'; --"],
      [`h:5432:*:u:${secret}`, 'h:5432:*:u:********'],
      [`authorization: Basic ${Buffer.from(`u:${secret}`).toString('base64')}`, 'authorization: Basic ********'],
      [`"Authorization":"Bearer ${secret}"`, '"Authorization":"Bearer ********"'],
    ] as const)
      expect(redact(line)).toBe(masked);
  });

  it('are masked as words where they are words, and inside words where they could be none', () => {
    const redact = createRedactor(['sunshine', 'xK9#', 'p4ssw0rd!']);
    expect(redact('sunshine, "sunshine" but sunshines; xK9# but axK9#; ap4ssw0rd!b')).toBe(
      '********, "********" but sunshines; ******** but axK9#; a********b',
    );
  });

  it('leave readable the names of settings before a complaint about them', () => {
    const redact = createRedactor([]);
    expect(redact('PATRONI_REPLICATION_PASSWORD=topsecret PGPASSWORD: x1')).toBe(
      'PATRONI_REPLICATION_PASSWORD=******** PGPASSWORD: ********',
    );
    expect(redact('password: topsecret\nhost.password = other')).toBe('password: ********\nhost.password = ********');
  });

  it('leave names readable, except where a password stands', () => {
    const redact = createRedactor(['postgres', 'app'], ['app']);
    expect(redact('user postgres of app')).toBe('user postgres of app');
    expect(redact('host=x password=postgres user=app')).toBe('host=x password=******** user=app');
    expect(redact('postgresql://app:app@h:5432/db')).toBe('postgresql://app:********@h:5432/db');
    expect(redact("password='a b c' user=x")).toBe("password='********' user=x");
    expect(redact('{"password":"topsecret","user":"u"}')).toBe('{"password":"********","user":"u"}');
  });
});

describe('the file', () => {
  it('rotates by size, keeps so many, in order', async () => {
    const dir = newDir();
    const log = createLog({ ...plain, dir: join(dir, 'deep'), fileNum: 2, fileSizeBytes: 400, mode: 0o640 });
    for (let i = 0; i < 60; i++) {
      log.info(`line ${String(i).padStart(3, '0')}`);
      if (i % 5 === 4) await log.close();
    }
    await log.close();
    const files = readdirSync(join(dir, 'deep')).sort();
    expect(files).toEqual(['patroni.log', 'patroni.log.1', 'patroni.log.2']);
    const all = [...files].reverse().map((file) => readFileSync(join(dir, 'deep', file), 'utf8'));
    for (const text of all) expect(text.length).toBeLessThanOrEqual(400);
    const numbers = [...all.join('').matchAll(/line (\d+)/g)].map((match) => Number(match[1]));
    expect(numbers.at(-1)).toBe(59);
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
    expect(statSync(join(dir, 'deep', 'patroni.log')).mode & 0o777).toBe(0o640);
  });

  it('takes over on reconfigure without losing a line', async () => {
    const dir = newDir();
    const { log, lines } = logOf();
    log.info('before');
    log.reconfigure({ ...plain, dir });
    log.info('after');
    await log.close();
    expect(lines).toHaveLength(1);
    expect(readFileSync(join(dir, 'patroni.log'), 'utf8')).toContain('INFO: after\n');
  });

  it('counts what it could not write and says so', async () => {
    const dir = newDir();
    const log = createLog({ ...plain, dir: join(dir, 'file', 'x') });
    writeFileSync(join(dir, 'file'), '');
    log.info('lost');
    await log.close();
    rmSync(join(dir, 'file'));
    log.info('kept');
    await log.close();
    const text = readFileSync(join(dir, 'file', 'x', 'patroni.log'), 'utf8');
    expect(text).toContain('WARNING: 1 log messages were lost');
    expect(text).toContain('INFO: kept');
  });
});

describe('the background writer', () => {
  it('tells at the end that nothing takes its lines', async () => {
    const path = join(newDir(), 'pipe');
    execFileSync('mkfifo', [path]);
    // Open for both, so that nobody has to read: it takes 64 kB, and then nothing.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const log = createLog(plain, { sink: createStderrSink({ fd, maxQueueSize: 1000 }) });
    expect(await log.close()).toEqual({ isStuck: false });
    log.info('x'.repeat(100_000));
    expect(await log.close()).toEqual({ isStuck: true });
    // It writes on. The descriptor's number may be that of another file once it is closed.
    const closed = log.close();
    const taken = Buffer.alloc(1 << 20);
    while (readSync(fd, taken) > 0 && taken.indexOf('\n') < 0) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await closed).toEqual({ isStuck: false });
    closeSync(fd);
  });

  it('writes everything, in order, by the time it was flushed', async () => {
    const path = join(newDir(), 'out');
    const fd = openSync(path, 'w');
    const sink = createStderrSink({ fd, maxQueueSize: 1000 });
    for (let i = 0; i < 900; i++) sink.write(String(i));
    expect(await sink.flush(60_000)).toBe(true);
    closeSync(fd);
    expect(readFileSync(path, 'utf8').trimEnd().split('\n')).toEqual(Array.from({ length: 900 }, (_, i) => String(i)));
  });
});
