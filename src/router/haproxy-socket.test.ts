import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../adapters/clock/system.ts';
import { createHaproxy, parseStat, serversInConnect } from './haproxy-socket.ts';

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
    expect(state.hasWaitingRoom).toBe(false);
  });

  it('tells which servers left their last check without an answer, and where PostgreSQL is', async () => {
    const rows = ['L7OK', 'L7STS', 'L7TOUT', '* L4CON', 'L4TOUT'].map((check, i) => `b,s${i},0,0,,UP,${check},10.0.0.${i}:5432`);
    answers = () => `# pxname,svname,qcur,scur,slim,status,check_status,addr\n${rows.join('\n')}\n\n`;
    const { servers } = await haproxy().state();
    expect(servers.map(({ silent }) => silent)).toEqual([false, false, true, true, true]);
    expect(servers[1]?.address).toBe('10.0.0.1:5432');
  });

  it('has the waiting room apart', async () => {
    const room = (limit: string) => `${HEADER}\nb,a,0,3,${limit},UP,,\nb,waiting-room,0,1,1,no check,,\n\n`;
    answers = () => room('1000');
    expect(await haproxy().state()).toEqual({
      servers: [{ name: 'a', up: true, ours: true, sessions: 3, silent: false, address: null }],
      hasWaitingRoom: true,
    });
    // HAProxy 3 would leave clients in the queue.
    answers = () => room('');
    expect((await haproxy().state()).hasWaitingRoom).toBe(false);
    await expect(haproxy().placeWaitingRoom('127.0.0.1', 1)).rejects.toMatchObject({ code: 'HAPROXY_NO_LIMIT' });
  });

  it('is an error without the backend', async () => {
    answers = () => 'No such proxy.\n';
    await expect(haproxy().state()).rejects.toMatchObject({ code: 'HAPROXY_NO_BACKEND' });
  });
});

describe('commands', () => {
  const session = (be: string, srv: string, side: string) =>
    `0x1a: proto=tcpv4 src=127.0.0.1:4 fe=w be=${be} srv=${srv} ts=00 epoch=0 age=0s calls=3 rate=2 rq[f=8h,i=0] scf=[8,0h,fd=11] ${side} exp=29m\n`;

  it('go in one line, in order; sessions are cut after that', async () => {
    answers = (line) => (line === 'show sess' ? session('postgres_primary', 'a', 'scb=[8,1h,fd=12]') : '\n');
    const done = await haproxy().run([
      { kind: 'up', server: 'b' },
      { kind: 'down', server: 'a' },
      { kind: 'cut', server: 'a' },
    ]);
    expect(done).toBe(true);
    expect(heard).toEqual([
      'set server postgres_primary/b health up; set server postgres_primary/a health down',
      'show sess',
      'shutdown sessions server postgres_primary/a',
      'show sess',
      'shutdown session 0x1a',
    ]);
  });

  it('leave the sessions of a server alone while one of them is being connected', async () => {
    const sessions = [
      session('postgres_primary', 'a', 'scb=[8,1h,fd=12]'),
      session('postgres_primary', 'a', 'scb=[3,1h,fd=-1]'),
      session('postgres_primary', 'b', 'scb=[8,1h,fd=13]'),
      session('postgres_primary', '<none>', 'scb=[2,1h,fd=-1]'),
      session('postgres_replicas', 'b', 'scb=[5,1h,fd=14]'),
      session('postgres_primary', 'c', 's1=[7,1h,fd=15,ex=]'),
    ].join('');
    expect(serversInConnect(sessions, 'postgres_primary')).toEqual(new Set(['a', '<none>', 'c']));
    answers = (line) => (line === 'show sess' ? `${sessions}\n` : '\n');
    const done = await haproxy().run(['a', 'b'].map((server) => ({ kind: 'cut', server })));
    expect(done).toBe(false);
    expect(heard).toEqual(['show sess', 'shutdown sessions server postgres_primary/b', 'show sess', 'shutdown session 0x1a']);
  });

  it('place the waiting room, whatever HAProxy says that it has changed', async () => {
    const words = ["no need to change the addr, port changed from '1' to '4567'", 'no need to change the addr, no need to change the port'];
    for (const said of words) {
      answers = (line) => (line.startsWith('show') ? `${HEADER}\nb,a,0,3,9,UP,,\n\n` : `${said} by 'stats socket command'\n`);
      await haproxy().placeWaitingRoom('127.0.0.1', 4567);
    }
    const placed = heard.filter((line) => line.startsWith('set'));
    expect(placed).toEqual(Array(2).fill('set server postgres_primary/waiting-room addr 127.0.0.1 port 4567'));
    answers = () => 'No such server.\n';
    await expect(haproxy().placeWaitingRoom('127.0.0.1', 1)).rejects.toMatchObject({ code: 'HAPROXY_REFUSED' });
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
