/** A configuration as a file to read and to change: sections in a fixed order, and comments. */
import { isMapping, own } from '../../config/merge.ts';
import type { JsonObject } from '../../support/json.ts';
import { STORES } from '../schema.ts';
import { yamlText } from '../yaml-text.ts';

/** Patroni's word for what somebody has to fill in; in two parts, or it were a leftover of ours. */
export const TO_FILL_IN = `#${'FIX'}ME`;

const ORDER = ['scope', 'namespace', 'name', 'log', 'restapi', 'ctl', 'citus', ...STORES, 'bootstrap', 'postgresql', 'watchdog', 'tags'];

const BOOTSTRAP_NOTE = `
# Used once, to make a new cluster. What stands under 'dcs' is stored in etcd then, and counts for
# all members. Change it there afterwards: regentctl edit-config.
`;

/** Without a line break at its end, as Patroni leaves it. */
export function documentOf(config: JsonObject): string {
  const parts = ORDER.flatMap((key) => {
    const value = own(config, key);
    if (value === undefined) return [];
    if (!isMapping(value)) return [yamlText({ [key]: value })];
    if (key === 'bootstrap') return [`${BOOTSTRAP_NOTE}${yamlText({ bootstrap: bootstrapInOrder(value) }, { sorted: false })}`];
    return [`\n${yamlText({ [key]: value })}`];
  });
  return parts.join('').trimEnd();
}

/** The three that depend on one another come first. */
function bootstrapInOrder(bootstrap: JsonObject): JsonObject {
  const dcs = own(bootstrap, 'dcs');
  if (!isMapping(dcs)) return bootstrap;
  const first = ['loop_wait', 'retry_timeout', 'ttl'];
  const keys = [
    ...first.filter((key) => own(dcs, key) !== undefined),
    ...Object.keys(dcs)
      .filter((key) => !first.includes(key))
      .sort(),
  ];
  return { dcs: Object.fromEntries(keys.map((key) => [key, sorted(dcs[key]!)])) };
}

function sorted<T>(value: T): T {
  if (!isMapping(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  ) as T;
}
