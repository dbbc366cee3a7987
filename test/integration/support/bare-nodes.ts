/**
 * Several PostgreSQL servers without agents: adapters that a test drives by hand, a primary and
 * standbys of it.
 */
import type { Settings } from '../../../src/core/settings.ts';
import type { Postgres } from '../../../src/ports/postgres.ts';
import { freePort } from './ports.ts';
import { adapterFor, foundCluster, settingsFor, sourceOf, temporaryHome } from './postgres.ts';

export const START = { timeoutMs: 30_000 };
export const QUICK = { timeoutMs: 20_000 };
export const LONG = { timeoutMs: 60_000 };

export interface BareNodes {
  readonly home: string;
  node(name: string): Postgres;
  settings(name: string): Settings;
  at(name: string): ReturnType<typeof sourceOf>;
  /**
   * The first founds the cluster, the others are cloned from it and started as its standbys, once
   * `before` is done.
   */
  start(before?: () => Promise<unknown>): Promise<void>;
  /** Ends every server and removes what they had. */
  close(): Promise<void>;
}

/** @param change what the test wants otherwise in the settings of a node. */
export async function bareNodes(
  names: readonly [string, ...string[]],
  parameters: (name: string, home: string) => Record<string, string> = () => ({}),
  change: (settings: Settings) => Settings = (settings) => settings,
): Promise<BareNodes> {
  const home = await temporaryHome();
  const known = new Map<string, { readonly settings: Settings; readonly adapter: Postgres }>();
  for (const name of names) {
    const settings = change(settingsFor({ home: home.path, name, port: await freePort(), parameters: parameters(name, home.path) }));
    known.set(name, { settings, adapter: adapterFor(settings) });
  }
  const of = (name: string) => known.get(name)!;
  const at = (name: string) => sourceOf(of(name).settings);
  const [first, ...others] = names;
  return {
    home: home.path,
    node: (name) => of(name).adapter,
    settings: (name) => of(name).settings,
    at,
    async start(before) {
      await foundCluster(of(first).adapter);
      await before?.();
      for (const name of others) {
        await of(name).adapter.clone(at(first), { ...LONG, fromLeader: true });
        await of(name).adapter.start({ kind: 'standby', source: at(first) }, START);
      }
    },
    async close() {
      for (const { adapter } of known.values()) await adapter.stop('immediate', QUICK).catch(() => undefined);
      for (const { adapter } of known.values()) await adapter.close();
      await home.remove();
    },
  };
}
