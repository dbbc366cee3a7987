/** Which ways to make a replica are tried, and in what order. */
import type { JsonValue } from '../support/json.ts';
import type { PostgresSettings, Settings } from './settings.ts';

type Configured = Pick<PostgresSettings, 'createReplicaMethods' | 'methodOptions'>;

/** A standby cluster names methods of its own; each is described where all are. */
export function methodsOf({ dynamic, postgresql }: Pick<Settings, 'dynamic' | 'postgresql'>): Configured {
  if (dynamic.standbyCluster === null) return postgresql;
  const { createReplicaMethods } = dynamic.standbyCluster;
  return {
    createReplicaMethods: createReplicaMethods.length > 0 ? createReplicaMethods : [BASEBACKUP],
    methodOptions: postgresql.methodOptions,
  };
}

/** Regent's own. Every other name is a program of the user's. */
export const BASEBACKUP = 'basebackup';

/** The user wants what is in the data directory kept for the program to build on. */
export function keepsData(configured: Configured, method: string): boolean {
  return method !== BASEBACKUP && isTrue(configured.methodOptions[method]?.['keep_data']);
}

/**
 * They take their copy from elsewhere (a backup, a snapshot), so they can be run while nobody
 * leads.
 */
export function methodsWithoutLeader(configured: Configured): readonly string[] {
  return configured.createReplicaMethods.filter(
    (method) => method !== BASEBACKUP && isTrue(configured.methodOptions[method]?.['no_leader']),
  );
}

export interface MethodChoice {
  readonly methods: readonly string[];
  /** For the log. */
  readonly because: string;
}

/** `fromLeader`: the operator asked for that, and gets a base backup and nothing else. */
export function replicaMethods(configured: Configured, hasSource: boolean, fromLeader: boolean): MethodChoice {
  const named = configured.createReplicaMethods;
  if (!hasSource)
    return {
      methods: methodsWithoutLeader(configured),
      because: 'nobody leads: only methods with no_leader are tried, in the order given',
    };
  if (!fromLeader) return { methods: named.length === 0 ? [BASEBACKUP] : named, because: 'the order of postgresql.create_replica_methods' };
  const passedOver = named.filter((method) => method !== BASEBACKUP);
  const others = passedOver.length === 0 ? '' : `; not tried: ${passedOver.join(', ')}`;
  return { methods: [BASEBACKUP], because: `the operator asked for a copy from the leader (--from-leader)${others}` };
}

/** As YAML and Patroni's users write it. */
export function isTrue(value: JsonValue | undefined): boolean {
  return value === true || /^(true|yes|on|1)$/i.test(String(value ?? ''));
}
