/** POST /reinitialize: replace this replica's data with a new copy. */
import { parseBool } from '../config/values.ts';
import { JOB_HEADER } from '../dialect/own-headers.ts';
import type { JsonObject } from '../support/json.ts';
import { type Answer, plain, refused, text } from './answer.ts';
import type { ApiContext } from './context.ts';

export async function postReinitialize({ operator }: ApiContext, body: JsonObject): Promise<Answer> {
  const request = { force: false, from_leader: false };
  for (const [key, value] of Object.entries(body)) {
    if (key !== 'force' && key !== 'from_leader') continue;
    const flag = parseBool(value);
    if (flag === null) return plain(400, `${key} should be true or false`);
    request[key] = flag;
  }
  const leader = operator.view()?.leader ?? null;
  const { isLeader, name } = operator.status();
  if (leader === null) return text(503, 'Cluster has no leader, can not reinitialize');
  if (isLeader || leader.name === name) return text(503, 'I am the leader, can not reinitialize');
  const outcome = await operator.reinitialize({ force: request.force, fromLeader: request.from_leader });
  if (!outcome.ok) return refused(outcome.status, outcome.message, outcome.reason ?? null);
  return { ...text(200, 'reinitialize started'), ...(outcome.job === undefined ? {} : { headers: { [JOB_HEADER]: outcome.job } }) };
}
