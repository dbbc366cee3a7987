import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from './client.ts';
import { listenForControl } from './control.ts';
import { planDemo } from './plan.ts';
import { listeningInodes, takenPorts } from './ports.ts';
import { isUnattached, removeFiles, sharedMemoryId } from './remove.ts';
import { EMPTY_STATE, inspectDirectory, type Marker, readState, requireDemo, writeMarker, writeState } from './state.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-state-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const marker: Marker = {
  regentDemo: 1,
  createdDirectory: true,
  nodes: 2,
  basePort: 15000,
  overrides: { tags: { nosync: true } },
  stats: { username: 'u', password: 'p' },
  postgresBin: '/pg',
  etcd: '/etcd',
  haproxy: '/haproxy',
};

describe('a demo’s directory', () => {
  it('is ours only with the marker in it', async () => {
    expect(await inspectDirectory(join(home, 'none'))).toBe('absent');
    expect(await inspectDirectory(home)).toBe('empty');
    writeFileSync(join(home, 'thesis.txt'), 'x');
    await expect(inspectDirectory(home)).rejects.toMatchObject({ code: 'DEMO_DIRECTORY' });
    await expect(inspectDirectory(join(home, 'thesis.txt'))).rejects.toMatchObject({ code: 'DEMO_DIRECTORY' });
    await writeMarker(home, marker);
    expect(await inspectDirectory(home)).toBe('ours');
    expect((await requireDemo(home)).settings).toEqual({
      directory: home,
      nodes: 2,
      basePort: 15000,
      overrides: { tags: { nosync: true } },
      stats: { username: 'u', password: 'p' },
    });
  });

  it('remembers processes, privately', async () => {
    expect(await readState(home)).toEqual(EMPTY_STATE);
    const identity = { pid: 7, startTicks: 8, bootId: 'b' };
    const state = {
      supervisor: identity,
      processes: [{ name: 'etcd1', kind: 'etcd' as const, identity, startedAt: 1, wanted: 'running' as const, restarts: 0, ended: null }],
    };
    await writeState(home, state);
    expect(await readState(home)).toEqual(state);
    expect(statSync(join(home, 'state.json')).mode & 0o777).toBe(0o600);
    writeFileSync(join(home, 'state.json'), '{"supervisor": 1}');
    await expect(readState(home)).rejects.toMatchObject({ code: 'DEMO_STATE' });
  });

  it('deletes what the demo made and nothing else', async () => {
    const directory = join(home, 'demo');
    const plan = planDemo({ directory, nodes: 2, basePort: 15000, overrides: {}, stats: marker.stats });
    mkdirSync(plan.nodes[0]!.dataDir, { recursive: true });
    await writeMarker(directory, marker);
    writeFileSync(join(directory, 'notes.txt'), 'mine');
    expect(await removeFiles(plan, true)).toEqual(['notes.txt']);
    expect(readdirSync(directory)).toEqual(['notes.txt']);
    rmSync(join(directory, 'notes.txt'));
    expect(await removeFiles(plan, true)).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
  });
});

describe('shared memory', () => {
  it('is found in postmaster.pid and freed only when no process is attached', () => {
    const pidFile = '123\n/demo/data\n1790000000\n5433\n/demo/run\n127.0.0.1\n  1234567    98304\nready   \n';
    expect(sharedMemoryId(pidFile)).toBe('98304');
    expect(sharedMemoryId('123\n/demo/data\n')).toBeNull();
    const table =
      '       key      shmid perms                  size  cpid  lpid nattch\n   1234567      98304   600  56 10 11  2\n   7654321          5   600  56 10 11  0\n';
    expect(isUnattached(table, '98304')).toBe(false);
    expect(isUnattached(table, '5')).toBe(true);
    expect(isUnattached(table, '6')).toBe(false);
  });
});

describe('takenPorts', () => {
  it('names the port, its use and who holds it', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const taken = await takenPorts([{ port, use: 'writes' }]);
    expect(taken).toEqual([{ port, use: 'writes', holder: expect.stringContaining(`(pid ${process.pid})`) }]);
    await new Promise((resolve) => server.close(resolve));
    expect(await takenPorts([{ port, use: 'writes' }])).toEqual([]);
  });

  it('tells listening sockets from connections', () => {
    const line = (port: string, state: string, inode: string) =>
      `   0: 0100007F:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000   0        0 ${inode} 1`;
    const table = ['  sl  local_address', line('1388', '0A', '111'), line('1388', '01', '222'), line('1389', '0A', '333')].join('\n');
    expect(listeningInodes(table, 5000)).toEqual(['111']);
  });
});

describe('the control socket', () => {
  it('answers, passes errors on with their mend, and is missed when it is gone', async () => {
    const plan = planDemo({ directory: home, nodes: 1, basePort: 15000, overrides: {}, stats: marker.stats });
    mkdirSync(plan.runDir);
    await expect(ask(plan, { command: 'status' })).rejects.toMatchObject({ code: 'DEMO_NOT_RUNNING' });
    const server = await listenForControl(plan.controlSocket, async (request) =>
      request.command === 'status'
        ? { ok: true, message: 'fine', state: EMPTY_STATE }
        : { ok: false, code: 'DEMO_NODE', message: 'there is no such node', mend: 'name another' },
    );
    expect(await ask(plan, { command: 'status' })).toMatchObject({ message: 'fine' });
    await expect(ask(plan, { command: 'kill', node: 'x' })).rejects.toMatchObject({ code: 'DEMO_NODE', mend: 'name another' });
    await expect(ask(plan, { command: 'launch' } as never)).rejects.toThrow();
    await new Promise((resolve) => server.close(resolve));
  });
});
