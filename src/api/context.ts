import type { ConfigProblem } from '../config/problems.ts';
import type { Clock } from '../ports/clock.ts';
import type { CallOptions } from '../ports/dcs.ts';
import type { Log } from '../ports/log.ts';
import type { OperatorPort } from '../ports/operator.ts';
import type { Peers } from '../ports/peers.ts';
import type { JsonObject } from '../support/json.ts';
import type { Answer } from './answer.ts';
import type { BodyKind } from './body.ts';

/** What the handlers work with. */
export interface ApiContext {
  readonly operator: OperatorPort;
  readonly log: Log;
  readonly clock: Clock;
  readonly peers: Peers;
  /**
   * Problems of a whole dynamic configuration. A problem of severity `error` makes the request
   * fail.
   */
  readonly validateConfig: (raw: JsonObject) => readonly ConfigProblem[];
}

/** A request that changes something, let in and read. */
export interface Route {
  readonly body: BodyKind;
  /** `by`: a text that names the caller. */
  readonly handle: (context: ApiContext, body: JsonObject, by: string) => Promise<Answer> | Answer;
}

/** A call to etcd for a caller waits as long as the agent's own calls. */
export function dcsOptions({ operator }: ApiContext): CallOptions {
  return { timeoutMs: operator.settings().dynamic.retryTimeoutSeconds * 1000 };
}
