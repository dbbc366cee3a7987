/** The server outside of this cluster that a standby cluster follows. */
import type { Source } from './effects.ts';
import type { DynamicSettings, Endpoint, StandbyClusterSettings } from './settings.ts';

export const endpointsOf = (source: Pick<Source, 'host' | 'port' | 'remote'>): readonly Endpoint[] => [
  { host: source.host, port: source.port },
  ...(source.remote?.others ?? []),
];

/** For people: `a:5432,b:5433`. */
export function addressOf(source: Pick<Source, 'host' | 'port' | 'remote'>): string {
  return endpointsOf(source)
    .map(({ host, port }) => `${host}:${port}`)
    .join(',');
}

/** As libpq reads several servers from one connection string. */
export function placeText(source: Pick<Source, 'host' | 'port' | 'remote'>): { readonly host: string; readonly port: string } {
  const all = endpointsOf(source);
  return { host: all.map(({ host }) => host).join(','), port: all.map(({ port }) => port).join(',') };
}

const sources = new WeakMap<StandbyClusterSettings, Source | null>();

/** Null: this is no standby cluster, or one that lives by an archive alone. */
export function remoteSource({ standbyCluster }: Pick<DynamicSettings, 'standbyCluster'>): Source | null {
  if (standbyCluster === null) return null;
  let source = sources.get(standbyCluster);
  if (source === undefined) {
    source = readSource(standbyCluster);
    sources.set(standbyCluster, source);
  }
  return source;
}

function readSource({ endpoints, primarySlotName }: StandbyClusterSettings): Source | null {
  const [first, ...others] = endpoints;
  if (first === undefined) return null;
  const place = { ...first, remote: { others, slot: primarySlotName } };
  return { name: addressOf(place), ...place };
}

/** What this leader does not follow, although `standby_cluster` says so. */
export interface RefusedRemote {
  /** Source.name */
  readonly name: string;
  readonly why: string;
  /** Clock.bootMs */
  readonly askedAtMs: number;
}
