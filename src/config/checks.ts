/**
 * What a local configuration must have, and relations between its settings. Each check returns
 * findings; order does not matter.
 */

import { carriedName } from '../core/server-names.ts';
import { isClusterWide, RECOVERY_GUCS } from '../pgconf/guc-table.ts';
import type { JsonObject } from '../support/json.ts';
import { endpointTexts, etcdSectionName, readEndpoint, unusedPort } from './build-etcd.ts';
import { readDynamic, recoveryFindings, roleFindings } from './dynamic.ts';
import { controlledValues } from './gucs.ts';
import { type Address, isLoopback, isWildcard } from './hostport.ts';
import { isMapping, own, valueAt } from './merge.ts';
import type { Finding } from './problems.ts';
import { eachSetting } from './setting.ts';
import { syncNamesFindings } from './sync-names-findings.ts';
import { type EtcdParsed, type LocalParsed, localTable, OTHER_DCS } from './table.ts';
import { parseBool } from './values.ts';

/**
 * `parsed` lacks what could not be read; `raw` still has it, so that a mistake is not reported as
 * an absence too.
 */
export function checkLocal(parsed: LocalParsed, raw: JsonObject): Finding[] {
  return [
    ...required(raw),
    ...superuser(raw),
    ...dcs(parsed, raw),
    ...addresses(parsed),
    ...directories(parsed),
    ...logins(parsed),
    ...bootstrap(parsed, raw),
    ...memberName(parsed),
    ...tags(parsed, raw),
    ...parameters(parsed),
  ];
}

const error = (path: readonly string[], message: string, mend: string): Finding => ({ path, message, mend, severity: 'error' });
const warning = (path: readonly string[], message: string, mend: string): Finding => ({ path, message, mend, severity: 'warning' });

/** Path and an example. */
const REQUIRED: [readonly string[], string][] = [];
eachSetting(localTable, (path, { about }) => {
  if (about.required !== undefined) REQUIRED.push([path, about.required]);
});

function required(raw: JsonObject): Finding[] {
  return REQUIRED.flatMap(([path, example]) => {
    // A section of the wrong kind has its own problem.
    for (let length = 1; length < path.length; length++) {
      const above = valueAt(raw, path.slice(0, length));
      if (above !== undefined && (typeof above !== 'object' || Array.isArray(above))) return [];
    }
    const value = valueAt(raw, path);
    if (value !== undefined && value !== '') return [];
    const where = path.length > 1 ? ` under '${path.slice(0, -1).join('.')}'` : '';
    return [error(path, `required, but ${value === '' ? 'empty' : 'not given'}`, `write '${path.at(-1)}: ${example}'${where}`)];
  });
}

/**
 * Who administers PostgreSQL: the documented default, where Patroni would take the user it runs as.
 */
function superuser(raw: JsonObject): Finding[] {
  const path = ['postgresql', 'authentication', 'superuser', 'username'];
  const above = valueAt(raw, path.slice(0, -1));
  if (valueAt(raw, path) !== undefined || (above !== undefined && !isMapping(above))) return [];
  // Without the sections around it more is missing than this.
  if (valueAt(raw, ['postgresql', 'authentication']) === undefined) return [];
  return [warning(path, "not given; 'postgres' is used", "write 'username: postgres' under 'postgresql.authentication.superuser'")];
}

function dcs(parsed: LocalParsed, raw: JsonObject): Finding[] {
  const others = OTHER_DCS.filter((name) => own(raw, name) !== undefined);
  const name = etcdSectionName({ etcd3: own(raw, 'etcd3'), etcd: own(raw, 'etcd') });
  const help = "write 'etcd3:' and below it 'hosts: 10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379'";
  if (name === null) {
    if (others.length === 0) return [error(['etcd3'], 'required, but not given', help)];
    return others.map((other) => error([other], `'${other}' is not supported by this release; Regent keeps its state in etcd`, help));
  }
  const findings = others.map((other) =>
    warning([other], `'${other}' is not supported by this release, ignored; ${name} is used`, `remove '${other}'`),
  );
  if (name === 'etcd') {
    findings.push(
      warning(
        ['etcd'],
        "to Patroni 'etcd' means etcd's version 2 API, whose keys are others; Regent speaks version 3 only",
        "write 'etcd3:' instead",
      ),
    );
  } else if (own(raw, 'etcd') !== undefined) {
    findings.push(warning(['etcd'], "ignored, because 'etcd3' is given", "remove 'etcd'"));
  }
  const section = parsed[name];
  return section === undefined ? findings : [...findings, ...endpoints(name, section, raw)];
}

function endpoints(name: string, section: EtcdParsed, raw: JsonObject): Finding[] {
  const findings: Finding[] = [];
  const texts = endpointTexts(section);
  for (const { path, text } of texts) {
    const endpoint = readEndpoint(text, section);
    // Hosts in one text have one place.
    const place = path[0] === 'hosts' && !Array.isArray(valueAt(raw, [name, 'hosts'])) ? ['hosts'] : path;
    if (!endpoint.ok) findings.push(error([name, ...place], endpoint.wrongs[0].message, endpoint.wrongs[0].mend));
    else if (endpoint.value.remark) findings.push(warning([name, ...place], endpoint.value.remark.message, endpoint.value.remark.mend));
  }
  const unused = unusedPort(section);
  if (unused !== null) findings.push(warning([name, ...unused.path], unused.message, 'keep one of the two'));
  const attempted = ['hosts', 'host', 'url', 'proxy', 'srv'].some((key) => valueAt(raw, [name, key]) !== undefined);
  if ((texts.length === 0 && section.srv === undefined && !attempted) || (section.hosts?.length === 0 && section.host === undefined)) {
    findings.push(error([name], 'names no endpoint', "write 'hosts: 10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379' below it"));
  }
  if ((section.username === undefined) !== (section.password === undefined)) {
    const [given, missing] = section.username === undefined ? ['password', 'username'] : ['username', 'password'];
    findings.push(warning([name, given], `given without ${missing}; etcd is spoken to without a login`, `write '${missing}: …' beside it`));
  }
  return findings;
}

function addresses(parsed: LocalParsed): Finding[] {
  const section = parsed[etcdSectionName(parsed) ?? 'etcd3'];
  const peers = (section ? endpointTexts(section) : []).map(({ text }) => readEndpoint(text, section ?? {}));
  const remote = peers.some((peer) => peer.ok && !isLoopback(peer.value.host));
  const given: readonly (readonly [readonly string[], Address | undefined])[] = [
    [['restapi', 'connect_address'], parsed.restapi?.connect_address],
    [['postgresql', 'connect_address'], parsed.postgresql?.connect_address],
  ];
  return given.flatMap(([path, address]) => {
    const host = address?.hosts[0];
    if (host === undefined) return [];
    const mend = `write the address by which other hosts reach this one, such as '10.0.0.1:${address!.port}'`;
    if (isWildcard(host)) return [error(path, `'${host}' means every address, which nobody can connect to`, mend)];
    // A whole cluster on one machine (a demo, a test) is meant so.
    return remote && isLoopback(host) ? [warning(path, `'${host}' cannot be reached from other hosts, where etcd is`, mend)] : [];
  });
}

function directories(parsed: LocalParsed): Finding[] {
  return (['data_dir', 'config_dir', 'pgpass'] as const).flatMap((key) => {
    const value = parsed.postgresql?.[key];
    const path = ['postgresql', key];
    if (value === undefined) return [];
    if (/^\/+$/.test(value)) return [error(path, 'the root directory', "write a directory of its own, such as '/var/lib/postgresql/data'")];
    // The agent writes pgpass itself, in the home directory.
    if (key === 'pgpass' && value.startsWith('~/')) {
      return [warning(path, "'~' is the home directory of the user the agent runs as", 'write the whole path')];
    }
    if (value.startsWith('~')) return [error(path, "'~' is not expanded here", 'write the whole path')];
    return value.startsWith('/') ? [] : [warning(path, 'a relative path depends on where the agent is started', 'write the whole path')];
  });
}

function logins(parsed: LocalParsed): Finding[] {
  const findings: Finding[] = [];
  for (const name of ['restapi', 'ctl'] as const) {
    const login = parsed[name]?.authentication;
    if (!login || (login.username === undefined) === (login.password === undefined)) continue;
    const [given, missing] = login.username === undefined ? ['password', 'username'] : ['username', 'password'];
    findings.push(error([name, 'authentication', given], `given without ${missing}`, `write '${missing}: …' beside it`));
  }
  const rest = parsed.restapi;
  const verify = rest?.verify_client ?? 'none';
  if (verify !== 'none' && rest?.certfile === undefined) {
    const message = `'${verify}' has no effect without TLS: no client is asked for a certificate`;
    findings.push(warning(['restapi', 'verify_client'], message, "write 'certfile' and 'keyfile' beside it"));
  } else if (verify !== 'none' && rest?.cafile === undefined) {
    findings.push(error(['restapi', 'verify_client'], `'${verify}' needs a CA to check clients against`, "write 'cafile' beside it"));
  }
  return findings;
}

/**
 * Once the cluster exists, this section has no effect. So nothing in it keeps a node from joining.
 * As with Patroni, a new cluster is made with defaults in place of wrong values. It is not made if
 * that would be another cluster than was asked for.
 */
function bootstrap(parsed: LocalParsed, raw: JsonObject): Finding[] {
  const { dcs: dynamic, method } = parsed.bootstrap ?? {};
  const findings = (dynamic ? readDynamic(dynamic).findings : []).map((finding): Finding => {
    const [setting] = finding.path;
    const path = ['bootstrap', 'dcs', ...finding.path];
    const decisive = finding.severity === 'error' && DECISIVE.includes(setting!);
    return { ...finding, path, severity: 'warning', ...(decisive ? { noBootstrap: true } : {}) };
  });
  if (method !== undefined && method !== 'initdb' && typeof valueAt(raw, ['bootstrap', method, 'command']) !== 'string') {
    const mend = `write '${method}:' under 'bootstrap' and below it 'command: …'`;
    findings.push({ ...warning(['bootstrap', 'method'], `'${method}' has no command`, mend), noBootstrap: true });
  }
  return findings;
}

/** Settings without which a new cluster would promise less than its file says. */
const DECISIVE = ['standby_cluster', 'synchronous_mode', 'synchronous_mode_strict', 'synchronous_node_count'];

/** PostgreSQL carries it as application_name, and knows standbys by that alone. */
function memberName(parsed: LocalParsed): Finding[] {
  const { name } = parsed;
  if (name === undefined) return [];
  const carried = carriedName(name, 0);
  if (carried === name) return [];
  const mend = 'choose a name of at most 63 letters, digits, - . and _ before this node joins, unless no other member becomes the same';
  return [warning(['name'], `PostgreSQL carries this name as '${carried}'`, mend)];
}

function tags(parsed: LocalParsed, raw: JsonObject): Finding[] {
  const findings: Finding[] = [];
  const pairs = [
    ['nofailover', 'failover_priority'],
    ['nosync', 'sync_priority'],
  ] as const;
  for (const [never, priority] of pairs) {
    const [flag, number] = [parsed.tags?.[never], parsed.tags?.[priority]];
    if (flag === undefined || number === undefined || flag === number <= 0) continue;
    const counts = `${never}: ${flag ? 'True' : 'False'}`;
    const conflict = `Conflicting configuration between ${counts} and ${priority}: ${number}. Defaulting to ${counts}`;
    findings.push(warning(['tags', priority], conflict, `remove one of the two`));
  }
  for (const key of ['nofailover', 'noloadbalance', 'clonefrom', 'nosync', 'nostream']) {
    const value = valueAt(raw, ['tags', key]);
    if (typeof value !== 'string' || parseBool(value) !== false) continue;
    findings.push(warning(['tags', key], `'${value}' in quotes means true to Patroni, false here`, `write '${key}: false' without quotes`));
  }
  return findings;
}

/** Parameters that are written here and count elsewhere. */
function parameters(parsed: LocalParsed): Finding[] {
  const local = parsed.postgresql?.parameters ?? {};
  const path = ['postgresql', 'parameters'];
  const { postgresql: everywhere, synchronousMode } = readDynamic(parsed.bootstrap?.dcs ?? {}).dynamic;
  const clusterWide = own(everywhere, 'parameters');
  const texts =
    typeof clusterWide === 'object' && clusterWide !== null
      ? Object.entries(clusterWide).map(([name, value]) => [name, String(value)])
      : [];
  const inForce = controlledValues(Object.fromEntries(texts)).commandLine;
  const written = controlledValues(local).commandLine;
  const findings = Object.keys(local)
    .filter(
      (name) =>
        isClusterWide(name) && (inForce[name.toLowerCase()] === undefined || inForce[name.toLowerCase()] !== written[name.toLowerCase()]),
    )
    .map((name) =>
      warning(
        [...path, name],
        `${name} is the same on all members and is taken from the dynamic configuration; it is ignored here`,
        `change it with 'regentctl edit-config', or before the first start under bootstrap.dcs.postgresql.parameters`,
      ),
    );
  const recovery = Object.fromEntries(Object.entries(local).filter(([name]) => RECOVERY_GUCS.has(name.toLowerCase())));
  return [
    ...findings,
    ...syncNamesFindings(local, path, synchronousMode, parsed.name ?? null),
    ...recoveryFindings(recovery, path),
    ...recoveryFindings(parsed.postgresql?.recovery_conf ?? {}, ['postgresql', 'recovery_conf']),
    ...roleFindings(parsed.postgresql ?? {}, synchronousMode, parsed.name ?? null),
  ];
}
