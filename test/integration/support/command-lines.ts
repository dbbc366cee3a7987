/** What everybody on the machine can read of a node's processes. */
import { readFileSync } from 'node:fs';
import type { ClusterNode } from './cluster-node.ts';

/** The command line of every living process of the node, words joined by spaces. */
export function commandLines(node: ClusterNode): string[] {
  return node.processes().flatMap(({ pid }) => {
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
    } catch {
      return [];
    }
  });
}
