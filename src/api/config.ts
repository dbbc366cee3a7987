/** PATCH and PUT /config: the cluster-wide settings, checked before they are written. */
import { isDeepStrictEqual } from 'node:util';
import { patchMerge } from '../config/merge.ts';
import { formatProblem } from '../config/problems.ts';
import type { JsonObject } from '../core/json.ts';
import { type Answer, json, plain, text } from './answer.ts';
import { type ApiContext, dcsOptions } from './context.ts';

/** Compare-and-set on the revision read: two operators cannot overwrite each other. */
export async function patchConfigKey(context: ApiContext, patch: JsonObject): Promise<Answer> {
  const { config } = await context.desk.dcs().read(dcsOptions(context));
  if (config === null || Object.keys(config.data).length === 0) return text(503, 'the cluster has no configuration to change yet');
  const data = patchMerge(config.data, patch);
  if (data !== config.data) {
    const refusal = refuse(context, data, config.data);
    if (refusal !== null) return refusal;
    const revision = await context.desk.dcs().writeConfig(data, config, dcsOptions(context));
    if (revision === null) return text(409, 'somebody else changed the configuration at the same moment; try again');
  }
  context.desk.wake('configuration changed');
  return json(200, data);
}

export async function putConfigKey(context: ApiContext, data: JsonObject): Promise<Answer> {
  const { config } = await context.desk.dcs().read(dcsOptions(context));
  if (config !== null && isDeepStrictEqual(config.data, data)) return json(200, data);
  const refusal = refuse(context, data, config?.data ?? {});
  if (refusal !== null) return refusal;
  const revision = await context.desk.dcs().writeConfig(data, null, dcsOptions(context));
  return revision === null ? text(502, 'the configuration could not be written') : json(200, data);
}

/** Only what the change itself breaks is refused: an old mistake elsewhere must not stand in the way of, say, a pause. */
function refuse(context: ApiContext, data: JsonObject, before: JsonObject): Answer | null {
  const errors = (config: JsonObject): string[] =>
    context
      .validateConfig(config)
      .filter((problem) => problem.severity === 'error')
      .map(formatProblem);
  const known = new Set(errors(before));
  const fresh = errors(data).filter((problem) => !known.has(problem));
  return fresh.length === 0 ? null : plain(400, fresh.join('\n'));
}
