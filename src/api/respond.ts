/**
 * From a request to an answer. Health checks do not wait: they are computed from the agent's last
 * round, in the same turn of the event loop. Those that name a lag alone ask PostgreSQL.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { healthCheck, limitsLag, livenessCheck, type Query, readinessCheck } from '../dialect/health-checks.ts';
import { REASON_HEADER, readHeaderText } from '../dialect/own-headers.ts';
import { statusBody } from '../dialect/status-body.ts';
import type { Facts } from '../ports/operator.ts';
import { DcsError, ensureError, RegentError } from '../support/errors.ts';
import type { AccessRules } from './access.ts';
import { type Answer, codeAlone, json, plain, RequestProblem } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiContext } from './context.ts';
import { readers } from './readers.ts';
import { routes } from './routes.ts';

export interface Target {
  /** With exactly one leading slash, without the query. */
  readonly path: string;
  /** The first segment of the path. It decides which handler runs. */
  readonly segment: string;
  readonly query: Query;
}

const NO_QUERY: Query = new Map();

export function targetOf(url: string): Target {
  const mark = url.indexOf('?');
  const whole = (mark < 0 ? url : url.slice(0, mark)).replace(/^[a-z]+:\/\/[^/]*/i, '');
  const bare = whole.replace(/^\/+/, '');
  return { path: `/${bare}`, segment: bare.split('/', 1)[0] ?? '', query: mark < 0 ? NO_QUERY : queryOf(url.slice(mark + 1)) };
}

/** The first value of a name counts. An empty value counts as none. */
function queryOf(text: string): Query {
  const query = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) if (value !== '' && !query.has(name)) query.set(name, value);
  return query;
}

/** A number: the code of a check that nobody reads the body of. */
export type Reply = Answer | number;

/** Answers every request; never throws. */
export function respond(
  context: ApiContext,
  rules: AccessRules,
  headers: Readonly<Record<string, string>>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const target = targetOf(request.url ?? '/');
  const method = request.method ?? 'GET';
  const reply = replyToCheck(context, method, target) ?? answerTo(context, rules, method, target, request);
  if (!(reply instanceof Promise)) {
    send(response, reply, headers);
    return;
  }
  reply
    .catch((error: unknown) => failure(context, `${method} ${target.path}`, error))
    .then((answer) => send(response, answer, headers))
    .catch((error: unknown) => {
      context.log.error('REST: could not send an answer', { error: ensureError(error).message });
      response.destroy();
    });
}

/**
 * The same for a health check of which only the first line could be read. Null: it is not a health
 * check. Never throws.
 */
export function replyToLine(context: ApiContext, method: string, url: string): Reply | Promise<Reply> | null {
  return replyToCheck(context, method, targetOf(url));
}

/**
 * Null: it is not a health check. At once, from the last round, unless the check names a lag: a
 * round may be too old to tell that.
 */
function replyToCheck({ operator }: Pick<ApiContext, 'operator'>, method: string, target: Target): Reply | Promise<Reply> | null {
  const { path, segment, query } = target;
  const isGet = method === 'GET';
  if (!(isGet ? !readers.has(segment) : method === 'HEAD' || method === 'OPTIONS')) return null;
  const isReadiness = isGet && segment === 'readiness';
  const judged = ({ status, view, settings }: Facts): Reply => {
    if (isReadiness) return readinessCheck(query, status, view, settings);
    const code = healthCheck(path, query, status, view, settings);
    return isGet ? json(code, statusBody(status, view, settings)) : code;
  };
  const now = operator.checkFacts();
  if (!now.status.isLeader && (isReadiness || limitsLag(query))) return operator.freshFacts().then(judged);
  if (!isGet) return healthCheck(path, query, now.status, now.view, now.settings);
  const facts = { status: operator.status(), view: operator.view(), settings: operator.settings() };
  return segment === 'liveness' ? livenessCheck(facts.status, facts.settings) : judged(facts);
}

/** The answer to a GET that is a check without a query. */
export function healthAnswer({ operator }: Pick<ApiContext, 'operator'>, path: string): Answer {
  const { status, view, settings } = operator.checkFacts();
  return json(healthCheck(path, NO_QUERY, status, view, settings), statusBody(operator.status(), operator.view(), operator.settings()));
}

function answerTo(context: ApiContext, rules: AccessRules, method: string, target: Target, request: IncomingMessage): Promise<Answer> {
  const reader = method === 'GET' ? readers.get(target.segment) : undefined;
  return reader === undefined ? change(context, rules, method, target, request) : read(reader, context);
}

async function read(reader: (context: ApiContext) => Promise<Answer> | Answer, context: ApiContext): Promise<Answer> {
  return reader(context);
}

async function change(context: ApiContext, rules: AccessRules, method: string, target: Target, request: IncomingMessage): Promise<Answer> {
  const route = routes.get(`${method} ${target.segment}`);
  if (route === undefined) return plain(501, `Unsupported method ('${method}') for /${target.segment}`);
  // Failsafe requests come from members of a fixed map, so a member's name alone is not enough.
  const refusal = await rules.check(request, context.operator.view(), target.segment !== 'failsafe');
  const answer = refusal ?? (await route.handle(context, await readBody(request, route.body, context.clock), requester(request)));
  const from = request.socket.remoteAddress ?? 'a closed connection';
  const reason = readHeaderText(answer.headers?.[REASON_HEADER]);
  context.log.info(
    `REST: ${method} /${target.segment} from ${from}: ${answer.status}${reason === null ? '' : `, ${answer.body}: ${reason}`}`,
  );
  return answer;
}

const LONGEST_NAME = 100;

/**
 * `alice@bastion (10.0.0.7)`: the caller's name as the caller gives it (HTTP's From header), and
 * the caller's address.
 */
function requester(request: IncomingMessage): string {
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/i, '');
  const from = (request.headers.from ?? '')
    .replace(/[^ -~]/g, '')
    .trim()
    .slice(0, LONGEST_NAME);
  return from === '' ? address : `${from} (${address})`;
}

function failure({ log }: ApiContext, what: string, error: unknown): Answer {
  if (error instanceof RequestProblem) return plain(error.status, error.mend === null ? error.message : `${error.message}. ${error.mend}`);
  if (error instanceof DcsError) return plain(503, `etcd: ${error.message}`);
  log.error(`REST: ${what} failed`, { error: ensureError(error).message, stack: ensureError(error).stack });
  return plain(500, error instanceof RegentError ? error.message : 'internal error; see the log of the agent');
}

function send(response: ServerResponse, reply: Reply, headers: Readonly<Record<string, string>>): void {
  if (response.destroyed) return;
  if (typeof reply === 'number') {
    // An earlier request on the connection is not answered yet: its answer must come first.
    if (response.socket === null) response.writeHead(reply, { 'Content-Length': 0, Connection: 'close' }).end();
    else response.socket.end(codeAlone(reply), 'latin1');
    return;
  }
  const body = Buffer.from(reply.body, 'utf8');
  response.writeHead(reply.status, { ...headers, ...reply.headers, 'Content-Type': reply.type, 'Content-Length': body.length });
  response.end(body);
}
