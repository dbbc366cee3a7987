/**
 * PATCH and PUT /config: check the cluster-wide settings and write them. POST /parameters only
 * checks them, for callers that write them themselves.
 */
import { isDeepStrictEqual } from 'node:util';
import { changedParameters, PARAMETERS_KEYS } from '../config/changed-parameters.ts';
import { patchMerge } from '../config/merge.ts';
import { formatProblem } from '../config/problems.ts';
import { complaintText } from '../pgconf/guc-complaints.ts';
import type { JsonObject } from '../support/json.ts';
import { type Answer, json, plain, text } from './answer.ts';
import { type ApiContext, dcsOptions } from './context.ts';

/**
 * Written by compare-and-set on the revision that was read, so that two operators cannot overwrite
 * each other.
 */
export async function patchConfigKey(context: ApiContext, patch: JsonObject): Promise<Answer> {
  const { config } = await context.operator.dcs().read(dcsOptions(context));
  if (config === null || Object.keys(config.data).length === 0) return text(503, 'the cluster has no configuration to change yet');
  const data = patchMerge(config.data, patch);
  if (data !== config.data) {
    const refusal = await refuse(context, data, config.data);
    if (refusal !== null) return refusal;
    const revision = await context.operator.dcs().writeConfig(data, config, dcsOptions(context));
    if (revision === null) return text(409, 'somebody else changed the configuration at the same moment; try again');
  }
  context.operator.wake('configuration changed');
  return json(200, data);
}

export async function putConfigKey(context: ApiContext, data: JsonObject): Promise<Answer> {
  const { config } = await context.operator.dcs().read(dcsOptions(context));
  if (config !== null && isDeepStrictEqual(config.data, data)) return json(200, data);
  const refusal = await refuse(context, data, config?.data ?? {});
  if (refusal !== null) return refusal;
  const revision = await context.operator.dcs().writeConfig(data, null, dcsOptions(context));
  return revision === null ? text(502, 'the configuration could not be written') : json(200, data);
}

/**
 * Answers which of the parameters in the body this member's PostgreSQL refuses, and why. Also
 * answers for which of them this member's own file has another value, because that one applies
 * here. Writes nothing.
 */
export async function postParameters({ operator }: ApiContext, body: JsonObject): Promise<Answer> {
  const given = changedParameters({ postgresql: { parameters: body } }, {});
  const complaints = await operator.judgeParameters(given);
  if (complaints === null) return plain(503, 'PostgreSQL could not be asked');
  const own = operator.settings().local.postgresql.parameters;
  const overruled = Object.entries(given).flatMap(([name, value]) => {
    const here = own[name.toLowerCase()];
    return here === undefined || here === value ? [] : [[name, here] as const];
  });
  return json(200, {
    refused: Object.fromEntries(complaints.map((complaint) => [complaint.name, complaintText(complaint)])),
    ...(overruled.length === 0 ? {} : { overruled: Object.fromEntries(overruled) }),
  });
}

/**
 * Only problems that the change itself causes refuse it. An older mistake elsewhere must not block,
 * for example, a pause.
 */
async function refuse(context: ApiContext, data: JsonObject, before: JsonObject): Promise<Answer | null> {
  const errors = (config: JsonObject): string[] =>
    context
      .validateConfig(config)
      .filter((problem) => problem.severity === 'error')
      .map(formatProblem);
  const known = new Set(errors(before));
  const fresh = errors(data).filter((problem) => !known.has(problem));
  const refused: string[] = [];
  for (const key of PARAMETERS_KEYS) {
    const parameters = changedParameters(data, before, key);
    // If PostgreSQL cannot be asked, the members find out later and leave out what it refuses.
    const complaints = Object.keys(parameters).length === 0 ? [] : ((await context.operator.judgeParameters(parameters)) ?? []);
    refused.push(...complaints.map((one) => `postgresql.${key}.${one.name}: PostgreSQL refuses it: ${complaintText(one)}`));
  }
  return fresh.length + refused.length === 0 ? null : plain(400, [...fresh, ...refused].join('\n'));
}
