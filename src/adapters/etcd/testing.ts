/**
 * What this folder's tests share: a clock moved by hand, a log that remembers, and a scripted
 * stand-in for an etcd member.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { EtcdSettings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';

export interface ManualClock extends Clock {
  /** Moves time on and runs what falls due, in order. */
  advance(ms: number): void;
}

export function manualClock(): ManualClock {
  let now = 0;
  let timers: Array<{ at: number; callback: () => void }> = [];
  return {
    bootMs: () => now,
    monotonicMs: () => now,
    wallMs: () => now,
    random: () => 0.5,
    timer: (ms, callback) => {
      const timer = { at: now + Math.max(0, ms), callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance: (ms) => {
      const end = now + ms;
      for (;;) {
        const due = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers = timers.filter((timer) => timer !== due);
        now = Math.max(now, due.at);
        due.callback();
      }
      now = end;
    },
  };
}

export function realClock(): Clock {
  return {
    bootMs: () => performance.now(),
    monotonicMs: () => performance.now(),
    wallMs: () => performance.now(),
    random: () => 0.5,
    timer: (ms, callback) => {
      const handle = setTimeout(callback, ms);
      return () => clearTimeout(handle);
    },
  };
}

export function recordingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const note = (message: string) => {
    lines.push(message);
  };
  return { lines, debug: note, info: note, warning: note, error: note, critical: note };
}

export function settingsOf(endpoints: readonly string[], more: Partial<EtcdSettings> = {}): EtcdSettings {
  const none = { username: null, password: null, cacert: null, cert: null, key: null, srv: null, srvSuffix: null };
  return { ...none, endpoints, discover: false, ...more };
}

export type Json = Record<string, unknown>;
/** `path` is that below `/v3`. Answers by itself, or not at all. */
export type Script = (path: string, body: Json, response: ServerResponse, request: IncomingMessage) => void;

export interface FakeMember {
  readonly endpoint: string;
  readonly seen: Array<{ readonly path: string; readonly body: Json; readonly headers: IncomingMessage['headers'] }>;
  script: Script;
  /** Ends every connection without a word. */
  breakConnections(): void;
  close(): Promise<void>;
}

export async function fakeMember(script: Script): Promise<FakeMember> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      const path = (request.url ?? '').replace(/^\/v3/, '');
      const body = text === '' ? {} : (JSON.parse(text) as Json);
      member.seen.push({ path, body, headers: request.headers });
      member.script(path, body, response, request);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const breakConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  const member: FakeMember = {
    endpoint: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    seen: [],
    script,
    breakConnections,
    close: () => {
      breakConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return member;
}

export function headerOf(term: number, revision: number): Json {
  return { cluster_id: '1', member_id: '2', raft_term: String(term), revision: String(revision) };
}

/** Answers ranges and transactions (each succeeds) at the given term and revision. */
export function answering(term: number, revision: number, more: Json = {}): Script {
  return (_path, _body, response) => response.end(JSON.stringify({ header: headerOf(term, revision), succeeded: true, ...more }));
}

export const hanging: Script = () => {};
