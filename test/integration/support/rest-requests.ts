/**
 * The same requests to a member that runs Patroni and to one that runs Regent: what is asked, and
 * how the answers are compared. Which differences are allowed is data (rest-differences.ts).
 */
import { createConnection } from 'node:net';
import type { ClusterNode } from './cluster-node.ts';

/** Method and path, and a body that is sent as JSON. */
export type Request = readonly [line: string, body?: object];

const CHECKS = [
  ...['/', '/primary', '/master', '/read-write', '/leader', '/standby-leader', '/standby_leader', '/my-primary-check'],
  ...['/replica', '/replica?lag=1MB', '/replica?lag=much', '/replica?tag_zone=a', '/replica?tag_nofailover=false', '/read-only'],
  ...[
    '/sync',
    '/synchronous',
    '/async',
    '/asynchronous',
    '/health',
    '/read-only-sync',
    '/read-only-synchronous',
    '/nonsense',
    '///primary',
  ],
];
const LATER = '2099-01-01T00:00:00+00:00';

/** None of them changes anything that lasts; what one schedules the next ones delete. */
export const requestsTo = (role: 'leader' | 'replica', leader: string): readonly Request[] => [
  ...CHECKS.flatMap((path): Request[] => [[`GET ${path}`], [`HEAD ${path}`], [`OPTIONS ${path}`]]),
  ...['HEAD /patroni', 'HEAD /metrics', 'OPTIONS /cluster', 'HEAD /liveness', 'HEAD /readiness'].map((line): Request => [line]),
  ...['/liveness', '/readiness', '/patroni', '/cluster', '/history', '/config', '/config/x', '/metrics', '/failsafe'].map(
    (path): Request => [`GET ${path}`],
  ),
  ...['POST /nonsense', 'PUT /primary', 'DELETE /failover', 'DELETE /patroni', 'FOO /primary', 'TRACE /primary'].map(
    (line): Request => [line],
  ),
  ['PATCH /config'],
  ['PATCH /config', {}],
  ['PATCH /config', { loop_wait: 1 }],
  ['PUT /config'],
  ['POST /reload'],
  ['POST /sigterm'],
  ['POST /switchover'],
  ['POST /switchover', {}],
  ['POST /switchover', { candidate: leader }],
  ['POST /switchover', { leader, candidate: leader }],
  ['POST /switchover', { leader, candidate: 'nobody' }],
  ['POST /switchover', { leader: 'nobody' }],
  ['POST /switchover', { leader, scheduled_at: 'soon' }],
  ['POST /switchover', { leader, scheduled_at: '2099-01-01T10:00' }],
  ['POST /switchover', { leader, scheduled_at: '2001-01-01T10:00Z' }],
  ['DELETE /switchover'],
  ['POST /switchover', { leader, scheduled_at: 'Thu Jan  1 10:00:00 UTC 2099' }],
  ['GET /cluster'],
  ['DELETE /switchover'],
  ['POST /failover', { leader }],
  ['POST /failover', { candidate: 'nobody' }],
  ['POST /failover', { candidate: 'nobody', scheduled_at: LATER }],
  ['POST /restart', { role: 'boss' }],
  ['POST /restart', { role: role === 'leader' ? 'replica' : 'primary' }],
  ['POST /restart', { postgres_version: '9.6.2' }],
  ['POST /restart', { postgres_version: 'new' }],
  ['POST /restart', { restart_pending: true }],
  ['POST /restart', { timeout: -1 }],
  ['POST /restart', { colour: 'red' }],
  ['POST /restart', { schedule: 'soon' }],
  ['POST /restart', { schedule: '2099-01-01T10:00' }],
  ['DELETE /restart'],
  ['POST /restart', { schedule: '1 Jan 2099 00:00 UTC', restart_pending: true }],
  ['POST /restart', { schedule: LATER }],
  ['GET /patroni'],
  ['DELETE /restart'],
  ...(role === 'leader' ? [['POST /reinitialize'] as const] : []),
];

export interface Answer {
  /** `HTTP/1.0 200 OK`. */
  readonly line: string;
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const PATIENCE_MS = 5000;

/** Byte by byte, on a connection of its own, until the server ends it. */
export function ask({ place }: ClusterNode, [line, body]: Request): Promise<Answer> {
  const content = body === undefined ? '' : JSON.stringify(body);
  const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(content)}\r\n`;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection({ host: place.host, port: place.restPort });
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`${line}: no end within ${PATIENCE_MS} ms`)));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(answerOf(Buffer.concat(chunks).toString('utf8'))));
    socket.write(`${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${length}\r\n${content}`);
  });
}

function answerOf(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  const [line = '', ...headers] = text.slice(0, end).split('\r\n');
  const type = headers.find((header) => header.toLowerCase().startsWith('content-type:'))?.slice('content-type:'.length) ?? '';
  return { line, status: Number(line.split(' ')[1]), type: type.trim().replace(/;.*/, ''), body: text.slice(end + 4) };
}

/** In sentences that name the request: what differs, but for times and positions. */
export function differences([line, body]: Request, theirs: Answer, ours: Answer): string[] {
  const told = (what: string) => `${line}${body === undefined ? '' : ` ${JSON.stringify(body)}`}: ${what}`;
  if (theirs.status !== ours.status) return [told(`${ours.status} instead of ${theirs.status}`)];
  if (/^(HEAD|OPTIONS) |^GET \/(liveness|readiness)/.test(line)) {
    const [all, wanted] = [ours, theirs].map((answer) => JSON.stringify(answer));
    return all === wanted ? [] : [told(`${all} instead of ${wanted}`)];
  }
  // A page of Python's server: only the code counts.
  if (theirs.body.trimStart().startsWith('<!DOCTYPE')) return [];
  if (theirs.type !== ours.type) return [told(`${ours.type} instead of ${theirs.type}`)];
  if (theirs.type === 'application/json') return shapes(leaderFirst(theirs.body), leaderFirst(ours.body), '').map(told);
  const [had, has] = [theirs.body, ours.body].map((body) => (line === 'GET /metrics' ? metricsOf(body) : [body]));
  const lacks = had!.filter((one) => !has!.includes(one)).map((one) => `lacks ${JSON.stringify(one)}`);
  return [...lacks, ...has!.filter((one) => !had!.includes(one)).map((one) => `adds ${JSON.stringify(one)}`)].map(told);
}

/** Names, types, and how the labels and values look. */
const metricsOf = (body: string): string[] =>
  body
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('# HELP'))
    .map((line) => line.replace(/"[^"]*"/g, '""').replace(/ -?[\d.e+]+$/, ' N'));

/** Another member may have led when the other was asked. */
function leaderFirst(text: string): unknown {
  const body: unknown = JSON.parse(text);
  if (!isObject(body) || !Array.isArray(body['members'])) return body;
  const members = (body['members'] as { readonly role: string }[]).toSorted(
    (a, b) => Number(b.role === 'leader') - Number(a.role === 'leader'),
  );
  return { ...body, members };
}

/**
 * Keys and types all the way down; in text the words, where they are words of the protocol. Of
 * lists only what both have: standbys and timelines come and go.
 */
function shapes(theirs: unknown, ours: unknown, path: string): string[] {
  const at = path === '' ? 'the body' : path;
  if (kindOf(theirs) !== kindOf(ours)) return [`${at} is ${kindOf(ours)} instead of ${kindOf(theirs)}`];
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    return theirs.slice(0, ours.length).flatMap((one, i) => shapes(one, ours[i], `${path}[]`));
  }
  if (!isObject(theirs) || !isObject(ours)) {
    const isWord = /(?:^|\.)(?:role|state|at|schedule|replication_state)$/.test(path);
    return isWord && theirs !== ours ? [`${at} is ${JSON.stringify(ours)} instead of ${JSON.stringify(theirs)}`] : [];
  }
  const inner = (key: string) => (path === '' ? key : `${path}.${key}`);
  const lacks = Object.keys(theirs).filter((key) => !(key in ours));
  const adds = Object.keys(ours).filter((key) => !(key in theirs));
  const both = Object.keys(theirs).filter((key) => key in ours);
  return [
    ...lacks.map((key) => `lacks ${inner(key)}`),
    ...adds.map((key) => `adds ${inner(key)}`),
    ...both.flatMap((key) => shapes(theirs[key], ours[key], inner(key))),
  ];
}

const kindOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value);
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;
