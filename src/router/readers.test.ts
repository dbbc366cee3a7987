import { describe, expect, it } from 'vitest';
import { RegentError } from '../support/errors.ts';
import type { HaproxyServer, RouterCommand } from './decide.ts';
import type { Haproxy } from './haproxy-socket.ts';
import { dismiss, suspects, watchReaders } from './readers.ts';

const server = (name: string, more: Partial<HaproxyServer> = {}): HaproxyServer => ({
  ...{ name, up: true, ours: true, sessions: 0, silent: false, address: `${name}:5432` },
  ...more,
});
const namesOf = (servers: readonly HaproxyServer[]) => suspects(servers).map(({ name }) => name);

describe('which servers are asked', () => {
  const well = server('a');

  it.each<[string, HaproxyServer[], string[]]>([
    ['one whose last check nothing answered', [well, server('b', { silent: true })], ['b']],
    ['none while all answer', [well, server('b', { up: false, sessions: 2 })], []],
    ['none while all are silent, because then it is the network', [server('a', { silent: true }), server('b', { silent: true })], []],
    ['none where those that answer are down', [server('a', { up: false }), server('b', { silent: true })], []],
    ['one that is down already, for its sessions', [well, server('b', { silent: true, up: false, sessions: 1 })], ['b']],
    ['none that is down and empty', [well, server('b', { silent: true, up: false })], []],
    ['none that an operator keeps in maintenance', [well, server('b', { silent: true, ours: false })], []],
    ['none whose address HAProxy does not show', [well, server('b', { silent: true, address: null })], []],
  ])('%s', (_what, servers, names) => {
    expect(namesOf(servers)).toEqual(names);
  });

  it('takes the server out first, and ends its sessions at the next look', () => {
    expect(dismiss(server('b', { sessions: 3 }))).toEqual({ kind: 'down', server: 'b' });
    expect(dismiss(server('b', { up: false, sessions: 3 }))).toEqual({ kind: 'cut', server: 'b' });
  });
});

describe('the watch', () => {
  /** One look a call of `pass`. */
  function stage(mute: ReadonlySet<string>) {
    const [said, ran]: [string[], RouterCommand[]] = [[], []];
    let [servers, trouble]: [HaproxyServer[], RegentError | null] = [[], null];
    let next: () => void = () => undefined;
    const haproxy: Haproxy = {
      state: () => (trouble === null ? Promise.resolve({ servers, hasWaitingRoom: false }) : Promise.reject(trouble)),
      run: (commands) => Promise.resolve(ran.push(...commands) > 0),
      placeWaitingRoom: () => Promise.resolve(),
    };
    const timer = (_ms: number, call: () => void) => {
      next = call;
      return () => undefined;
    };
    const say = (text: string) => void said.push(text);
    const answers = (address: string) => Promise.resolve(!mute.has(address.split(':')[0]!));
    const watch = watchReaders({ haproxy, answers, clock: { timer }, log: { info: say, warning: say } });
    const pass = async (seen: HaproxyServer[] | RegentError) => {
      [servers, trouble] = seen instanceof RegentError ? [servers, seen] : [seen, null];
      next();
      await new Promise((resolve) => setImmediate(resolve));
      return { ran: ran.splice(0), said: said.splice(0) };
    };
    return { pass, settled: () => new Promise((resolve) => setImmediate(resolve)), watch };
  }

  it('dismisses a server whose agent and PostgreSQL are silent, tells it once, and tells when it is back', async () => {
    const { pass, settled, watch } = stage(new Set(['b']));
    await settled();
    const silent = (up: boolean) => [server('a'), server('b', { silent: true, up, sessions: 2 })];
    expect(await pass(silent(true))).toEqual({
      ran: [{ kind: 'down', server: 'b' }],
      said: ['b does not answer: readers go to others'],
    });
    expect(await pass(silent(false))).toEqual({ ran: [{ kind: 'cut', server: 'b' }], said: [] });
    expect(await pass([server('a'), server('b')])).toEqual({ ran: [], said: ['b answers again: it gets readers'] });
    await watch.close();
  });

  it('leaves a server alone whose PostgreSQL answers, as while its agent is restarted', async () => {
    const { pass, settled } = stage(new Set());
    await settled();
    expect(await pass([server('a'), server('b', { silent: true, sessions: 2 })])).toEqual({ ran: [], said: [] });
  });

  it('says once that the checks decide where HAProxy has no such pool', async () => {
    const { pass, settled } = stage(new Set());
    await settled();
    const missing = new RegentError('HAPROXY_NO_BACKEND', 'no backend', { mend: 'name it' });
    expect((await pass(missing)).said).toEqual(["the pool for reads is left to HAProxy's checks: no backend"]);
    expect((await pass(missing)).said).toEqual([]);
    expect((await pass([server('a')])).said).toEqual(['the pool for reads is watched again']);
  });
});
