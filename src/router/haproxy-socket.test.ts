import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../adapters/clock/system.ts';
import { createHaproxy, parseStat } from './haproxy-socket.ts';

const names = { backend: 'postgres_primary', frontend: 'postgres_write' };
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

const haproxy = (path = join(dir, 'sock')) => createHaproxy({ socketPath: path, clock: createSystemClock(), timeoutMs: 200 });

it('reads statistics by column name, with quoted values', () => {
  expect(parseStat(`${HEADER}\nb,a,0,3,,UP 2/3,"x,""y""",\n\n`)).toEqual([
    { pxname: 'b', svname: 'a', qcur: '0', scur: '3', slim: '', status: 'UP 2/3', desc: 'x,"y"', '': '' },
  ]);
  expect(parseStat('No such proxy.\n')).toEqual([]);
});

describe('the state', () => {
  it('tells servers that checks judge from those that an operator has taken', async () => {
    answers = (line) =>
      line.startsWith('show stat postgres_primary')
        ? `${HEADER}\n${['UP', 'UP 1/3', 'DOWN', 'DOWN 1/2', 'MAINT', 'DRAIN', 'no check'].map((status, i) => `b,s${i},0,${i},,${status},,`).join('\n')}\n\n`
        : `${HEADER}\nf,FRONTEND,,0,400,OPEN,,\n\n`;
    const state = await haproxy().state(names);
    expect(state.frontendLimit).toBe(400);
    expect(state.servers.map(({ up, ours }) => [up, ours])).toEqual([
      [true, true],
      [true, true],
      [false, true],
      [false, true],
      [false, false],
      [false, false],
      [false, false],
    ]);
    expect(state.servers[3]).toMatchObject({ name: 's3', sessions: 3 });
  });

  it('has no limit without the frontend, and is an error without the backend', async () => {
    answers = (line) => (line.startsWith('show stat postgres_primary') ? `${HEADER}\nb,a,0,0,,UP,,\n` : 'No such proxy.\n');
    expect((await haproxy().state(names)).frontendLimit).toBeNull();
    answers = () => 'No such proxy.\n';
    await expect(haproxy().state(names)).rejects.toMatchObject({ code: 'HAPROXY_NO_BACKEND' });
  });
});

describe('commands', () => {
  it('go in one line, in order', async () => {
    await haproxy().run(names, [
      { kind: 'up', server: 'b' },
      { kind: 'down', server: 'a' },
      { kind: 'cut', server: 'a' },
      { kind: 'release', limit: 77 },
    ]);
    expect(heard).toEqual([
      'set server postgres_primary/b health up; set server postgres_primary/a health down; shutdown sessions server postgres_primary/a; set maxconn frontend postgres_write 77',
    ]);
  });

  it("restore HAProxy's own limit when nobody remembers another", async () => {
    answers = (line) => (line === 'show info' ? 'Name: HAProxy\nMaxconn: 1234\n' : '\n');
    await haproxy().run(names, [{ kind: 'release', limit: null }]);
    expect(heard.at(-1)).toBe('set maxconn frontend postgres_write 1234');
  });

  it('are refused with HAProxy’s words', async () => {
    answers = () => 'No such server.\n';
    await expect(haproxy().run(names, [{ kind: 'up', server: 'x' }])).rejects.toMatchObject({
      code: 'HAPROXY_REFUSED',
      message: expect.stringContaining('No such server'),
    });
  });

  it('fail in time when nobody answers, or nobody is there', async () => {
    answers = () => null;
    await expect(haproxy().run(names, [{ kind: 'up', server: 'x' }])).rejects.toMatchObject({ code: 'HAPROXY_UNREACHABLE' });
    await expect(haproxy(join(dir, 'none')).run(names, [{ kind: 'up', server: 'x' }])).rejects.toMatchObject({
      code: 'HAPROXY_UNREACHABLE',
    });
  });
});
