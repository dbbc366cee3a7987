import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../adapters/clock/system.ts';
import { createHaproxy, parseStat } from './haproxy-socket.ts';

const HEADER = '# pxname,svname,qcur,scur,slim,status,desc,';
let dir: string;
let server: Server;
let heard: string[];
let answers: (line: string) => string | null;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'regent-haproxy-'));
  heard = [];
  answers = () => '\n';
  server = createServer((socket) => {
    socket.on('data', (data) => {
      const line = data.toString().trim();
      heard.push(line);
      const answer = answers(line);
      if (answer !== null) socket.end(answer);
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(join(dir, 'sock'), resolve));
});
afterEach(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const haproxy = (path = join(dir, 'sock')) =>
  createHaproxy({ socketPath: path, backend: 'postgres_primary', clock: createSystemClock(), timeoutMs: 1500 });

it('reads statistics by column name, with quoted values', () => {
  expect(parseStat(`${HEADER}\nb,a,0,3,,UP 2/3,"x,""y""",\n\n`)).toEqual([
    { pxname: 'b', svname: 'a', qcur: '0', scur: '3', slim: '', status: 'UP 2/3', desc: 'x,"y"', '': '' },
  ]);
  expect(parseStat('No such proxy.\n')).toEqual([]);
});

describe('the state', () => {
  it('tells servers that checks judge from those that an operator has taken', async () => {
    const rows = ['UP', 'UP 1/3', 'DOWN', 'DOWN 1/2', 'MAINT', 'DRAIN', 'no check'].map((status, i) => `b,s${i},0,${i},,${status},,`);
    answers = () => `${HEADER}\n${rows.join('\n')}\n\n`;
    const state = await haproxy().state();
    expect(heard).toEqual(['show stat postgres_primary 4 -1']);
    expect(state.map(({ up, ours }) => [up, ours])).toEqual([
      [true, true],
      [true, true],
      [false, true],
      [false, true],
      [false, false],
      [false, false],
      [false, false],
    ]);
    expect(state[3]).toMatchObject({ name: 's3', sessions: 3 });
  });

  it('is an error without the backend', async () => {
    answers = () => 'No such proxy.\n';
    await expect(haproxy().state()).rejects.toMatchObject({ code: 'HAPROXY_NO_BACKEND' });
  });
});

describe('commands', () => {
  it('go in one line, in order', async () => {
    await haproxy().run([
      { kind: 'up', server: 'b' },
      { kind: 'down', server: 'a' },
      { kind: 'cut', server: 'a' },
    ]);
    expect(heard).toEqual([
      'set server postgres_primary/b health up; set server postgres_primary/a health down; shutdown sessions server postgres_primary/a',
    ]);
  });

  it('are refused with HAProxy’s words', async () => {
    answers = () => 'No such server.\n';
    await expect(haproxy().run([{ kind: 'up', server: 'x' }])).rejects.toMatchObject({
      code: 'HAPROXY_REFUSED',
      message: expect.stringContaining('No such server'),
    });
  });

  it('fail in time when there is no answer, or no listener', async () => {
    answers = () => null;
    await expect(haproxy().run([{ kind: 'up', server: 'x' }])).rejects.toMatchObject({ code: 'HAPROXY_UNREACHABLE' });
    await expect(haproxy(join(dir, 'none')).run([{ kind: 'up', server: 'x' }])).rejects.toMatchObject({
      code: 'HAPROXY_UNREACHABLE',
    });
  });
});
