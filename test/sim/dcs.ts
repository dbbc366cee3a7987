/** The Dcs port of one process: the real client of etcd over the simulated network. */
import type { IdentityFile } from '../../src/adapters/etcd/identity-file.ts';
import type { RelaySettings } from '../../src/adapters/etcd/relay.ts';
import { createEtcdDcs } from '../../src/adapters/etcd/store.ts';
import { settingsOf } from '../../src/adapters/etcd/testing.ts';
import type { Carrier } from '../../src/ports/carrier.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Dcs } from '../../src/ports/dcs.ts';
import { type Log, silentLog } from '../../src/ports/log.ts';
import type { JsonObject } from '../../src/support/json.ts';
import { urlOf } from './etcd/gateway.ts';
import { SimTransport, type TransportParts } from './etcd/transport.ts';
import { MEMBERS } from './etcd.ts';

export interface DcsParts extends TransportParts {
  readonly clock: Clock;
  readonly log?: Log;
  /** The way through another member; nothing: none. */
  readonly relay?: RelaySettings;
  /** Its member key does not say that it knows beats. */
  readonly old?: boolean;
  readonly identity?: IdentityFile;
  /** Told of every configuration that etcd gives this machine. */
  readonly sawConfig?: (paused: boolean) => void;
  /** Told of all that its watch tells. */
  readonly heard?: (key: string | null) => void;
}

const settings = settingsOf(MEMBERS.map(urlOf), { discover: true });

const withoutBeats = ({ beats: _, ...value }: JsonObject): JsonObject => value;

export function simDcs({ clock, log = silentLog, identity, sawConfig, heard, relay, old = false, ...parts }: DcsParts): Dcs & Carrier {
  const transport = new SimTransport(parts);
  const kept = { ...(identity && { identity }), ...(relay && { relay }) };
  const dcs = createEtcdDcs({ settings, scope: 'sim', namespace: 'service', log, clock, transport, ...kept });
  return {
    ...dcs,
    read: async (options) => {
      const view = await dcs.read(options);
      sawConfig?.(view.config?.data['pause'] === true);
      return view;
    },
    putMember: (name, value, leaseId, call) => dcs.putMember(name, old ? withoutBeats(value) : value, leaseId, call),
    watch: (listener) =>
      dcs.watch((event) => {
        heard?.(event.key);
        listener(event);
      }),
  };
}
