/** Changes a node's YAML file under the running agent, as an operator does: edit, then SIGHUP. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { patchMerge } from '../../../src/config/merge.ts';
import type { JsonObject } from '../../../src/support/json.ts';
import type { ClusterNode } from './cluster-node.ts';

export const configFile = (node: ClusterNode) => join(node.place.directory, 'patroni.yml');

/**
 * Merged in as a PATCH of /config is: null removes a key. The file keeps its owner and mode. The
 * agent is not told.
 */
export function editLocal(node: ClusterNode, change: JsonObject): void {
  const file = configFile(node);
  writeFileSync(file, stringify(patchMerge(parse(readFileSync(file, 'utf8')) as JsonObject, change)));
}

export function changeLocal(node: ClusterNode, change: JsonObject): void {
  editLocal(node, change);
  reload(node);
}

export function reload(node: ClusterNode): void {
  if (node.agentPid === null) throw new Error(`no agent runs on ${node.name}`);
  process.kill(node.agentPid, 'SIGHUP');
}
