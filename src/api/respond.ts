/**
 * From a request to an answer. Health checks never wait: they are computed from the agent's last
 * round, in the same turn of the event loop.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { healthCheck, livenessCheck, type Query, readinessCheck } from '../dialect/health-checks.ts';
import { statusBody } from '../dialect/status-body.ts';
import { DcsError, ensureError, RegentError } from '../support/errors.ts';
import type { AccessRules } from './access.ts';
import { type Answer, json, plain, RequestProblem, text } from './answer.ts';
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
  const code = codeOnly(context, method, target);
  if (code !== null) {
    response.writeHead(code, { 'Content-Length': 0 });
    response.end();
    return;
  }
  const reader = readers.get(target.segment);
  if (method === 'GET' && reader === undefined) {
    send(response, healthAnswer(context, target), headers);
    return;
  }
  const answering = method === 'GET' && reader !== undefined ? read(reader, context) : change(context, rules, method, target, request);
  answering
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
export function answerOfCheck(context: ApiContext, method: string, url: string): Answer | null {
  const target = targetOf(url);
  const code = codeOnly(context, method, target);
  if (code !== null) return text(code, '');
  return method === 'GET' && !readers.has(target.segment) ? healthAnswer(context, target) : null;
}

/** The answer to a GET that nothing else answers. */
export function healthAnswer(context: Pick<ApiContext, 'operator'>, target: Target): Answer {
  const { operator } = context;
  return json(healthCode(context, target), statusBody(operator.status(), operator.view(), operator.settings()));
}

/**
 * Checks that do not look at a body get no body and no extra headers. Null: this is not such a
 * check.
 */
function codeOnly(context: ApiContext, method: string, target: Target): number | null {
  if (method === 'HEAD' || method === 'OPTIONS') return healthCode(context, target);
  if (method !== 'GET') return null;
  const { operator } = context;
  if (target.segment === 'liveness') return livenessCheck(operator.status(), operator.settings());
  if (target.segment === 'readiness') return readinessCheck(target.query, operator.status(), operator.view(), operator.settings());
  return null;
}

function healthCode({ operator }: Pick<ApiContext, 'operator'>, { path, query }: Target): number {
  const { status, view, settings } = operator.checkFacts();
  return healthCheck(path, query, status, view, settings);
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
  context.log.info(`REST: ${method} /${target.segment} from ${from}: ${answer.status}`);
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

function send(response: ServerResponse, answer: Answer, headers: Readonly<Record<string, string>>): void {
  if (response.destroyed) return;
  const body = Buffer.from(answer.body, 'utf8');
  response.writeHead(answer.status, { ...headers, ...answer.headers, 'Content-Type': answer.type, 'Content-Length': body.length });
  response.end(body);
}
