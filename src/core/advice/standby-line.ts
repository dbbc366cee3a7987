/** What a standby cluster is, and how it takes writes again, in one line. */
import { type ClusterView, memberOf } from '../cluster.ts';
import { promoteCluster } from '../operator-commands.ts';
import { remoteSource } from '../remote.ts';
import type { DynamicSettings } from '../settings.ts';

/** Null: it is none, or its leader refuses to follow that server and goes on as a primary. */
export function standbyClusterLine(view: ClusterView, dynamic: DynamicSettings, scope: string, program?: string): string | null {
  const leader = view.leader && memberOf(view, view.leader.name);
  if (dynamic.standbyCluster === null || leader?.raw['standby_cluster_refused'] !== undefined) return null;
  const followed = remoteSource(dynamic)?.name ?? 'an archive (restore_command)';
  const writes =
    dynamic.pause && leader?.role === 'primary' ? 'until the pause ends, its leader stays a primary' : 'no member takes writes';
  return `Standby cluster: it follows ${followed}, and ${writes}. For a writable cluster again: ${promoteCluster(scope, program)}`;
}
