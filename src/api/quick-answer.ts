/**
 * Answers to health checks, byte by byte the same that the HTTP server would send. What depends on
 * the member is put together once after each change.
 */
import { STATUS_CODES } from 'node:http';
import { healthCheck } from '../dialect/health-checks.ts';
import type { CheckFacts } from '../ports/operator.ts';
import { codeAlone } from './answer.ts';
import type { ApiContext } from './context.ts';
import { type KnownRequest, knownRequests } from './known-request.ts';
import { healthAnswer } from './respond.ts';

export interface QuickAnswer {
  /** One character a byte (latin1). */
  readonly text: string;
  /** The connection stays open for another request. */
  readonly keepsAlive: boolean;
}

/** Null: a request to think about. `headers`: the extra ones, which answers with a body have. */
export type QuickAnswers = (packet: Buffer, headers: Readonly<Record<string, string>>) => QuickAnswer | null;

/** How long a connection may stay open without a request. */
export const KEEP_ALIVE_SECONDS = 10;
/** An extra header of this name takes the place of one that is sent anyway. */
const OWN_HEADERS = new Set(['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'trailer', 'transfer-encoding']);
const ENDS = {
  open: `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_SECONDS}\r\n\r\n`,
  closed: 'Connection: close\r\n\r\n',
};

type Context = Pick<ApiContext, 'operator' | 'clock'>;

export function quickAnswers(context: Context): QuickAnswers {
  const read = knownRequests();
  const codeOf = codesAlone(context);
  const date = dateLine(context);
  return (packet, headers) => {
    const request = read(packet);
    if (request === null) return null;
    if (request.method !== 'GET') return { text: codeOf(request), keepsAlive: false };
    const { keepsAlive } = request;
    const end = `${date()}${keepsAlive ? ENDS.open : ENDS.closed}`;
    if (Object.keys(headers).some((name) => OWN_HEADERS.has(name.toLowerCase()))) return null;
    const { status, type, body } = healthAnswer(context, request.path);
    const content = Buffer.from(body, 'utf8').toString('latin1');
    const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `${statusLine(status)}${extra.join('')}Content-Type: ${type}\r\nContent-Length: ${content.length}\r\n${end}`;
    return { text: head + content, keepsAlive };
  };
}

const statusLine = (code: number) => `HTTP/1.1 ${code} ${STATUS_CODES[code]}\r\n`;

/** The answers to HEAD and OPTIONS, kept until something changes. */
function codesAlone({ operator }: Context): (request: KnownRequest) => string {
  let facts: CheckFacts | null = null;
  let kept = new WeakMap<KnownRequest, string>();
  return (request) => {
    const now = operator.checkFacts();
    if (now !== facts) {
      facts = now;
      kept = new WeakMap();
    }
    let text = kept.get(request);
    if (text === undefined) {
      text = codeAlone(healthCheck(request.path, NO_QUERY, now.status, now.view, now.settings));
      kept.set(request, text);
    }
    return text;
  };
}

const NO_QUERY = new Map<string, string>();

/** As long as it is the same second, the same text. */
function dateLine({ clock }: Context): () => string {
  let second = Number.NaN;
  let text = '';
  return () => {
    const now = Math.floor(clock.wallMs() / 1000);
    if (now !== second) {
      second = now;
      text = `Date: ${new Date(now * 1000).toUTCString()}\r\n`;
    }
    return text;
  };
}
