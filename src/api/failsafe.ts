/**
 * POST /failsafe: a leader that cannot reach etcd asks whether it may go on. Status, sentence and
 * header are what Patroni's leaders look for.
 */
import type { JsonObject } from '../support/json.ts';
import { type Answer, text } from './answer.ts';
import type { ApiContext } from './context.ts';

export async function postFailsafe({ operator }: Pick<ApiContext, 'operator'>, body: JsonObject): Promise<Answer> {
  const answer = await operator.askedForFailsafe(body);
  if (answer.kind === 'off') return text(502, 'Failsafe mode is not enabled');
  if (answer.kind === 'refused') return text(500, answer.because);
  return { ...text(200, 'Accepted'), ...(answer.lsn !== null && { headers: { lsn: String(answer.lsn) } }) };
}
