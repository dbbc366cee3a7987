/** The GETs that are not health checks. */

import type { HistoryEntry } from '../core/cluster.ts';
import { clusterBody } from '../dialect/cluster-body.ts';
import { lsnToJson } from '../dialect/member-record.ts';
import { statusBody } from '../dialect/status-body.ts';
import type { JsonValue } from '../support/json.ts';
import { type Answer, json, text } from './answer.ts';
import { type ApiContext, dcsOptions } from './context.ts';
import { metricsText } from './metrics.ts';

type Reader = (context: ApiContext) => Promise<Answer> | Answer;

/** By first segment of the path. */
export const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['patroni', async ({ operator }) => json(200, statusBody(await operator.statusNow(), operator.view(), operator.settings()))],
  ['cluster', readCluster],
  ['history', async (context) => json(200, (await knownView(context)).history.map(historyRow))],
  ['config', readConfig],
  [
    'metrics',
    async ({ operator }) => {
      const { status, view, settings } = await operator.freshFacts();
      return { status: 200, type: 'text/plain', body: metricsText(status, view, settings) };
    },
  ],
  [
    'failsafe',
    ({ operator }) => {
      const map = operator.failsafeMap();
      return map === null ? text(502, 'No failsafe map is known to this member') : json(200, { ...map });
    },
  ],
]);

/** Read from etcd now, because operators use this to see the present state. */
async function readCluster(context: ApiContext): Promise<Answer> {
  const view = await context.operator.dcs().read(dcsOptions(context));
  return json(200, clusterBody(view, context.operator.status().scope));
}

async function readConfig(context: ApiContext): Promise<Answer> {
  const { config } = await knownView(context);
  return config === null ? text(502, 'the cluster has no configuration yet') : json(200, config.data);
}

async function knownView(context: ApiContext) {
  return context.operator.view() ?? (await context.operator.dcs().read(dcsOptions(context)));
}

function historyRow(entry: HistoryEntry): JsonValue {
  const row: JsonValue[] = [entry.timeline, lsnToJson(entry.switchLsn), entry.reason];
  if (entry.timestamp !== undefined) row.push(entry.timestamp);
  if (entry.newLeader !== undefined) row.push(entry.newLeader);
  return row;
}
