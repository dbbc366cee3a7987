/** The whole local file. Keys and defaults: patroni-compat 2.4; etcd: 1.13. */
import * as z from 'zod';
import type { JsonObject } from '../support/json.ts';
import { about, address, choice, flag, freeMap, looseText, section, text, textMap, texts, whole } from './leaves.ts';
import { bad, good } from './read.ts';
import { dynamicShape } from './schema-dynamic.ts';
import { bootstrapSection, headers, postgresDynamicOnly, postgresSection, postgresShared, tagsSection } from './schema-postgres.ts';

const authentication = (doc: string) =>
  section({ doc }, { username: text({ doc: 'User name.' }), password: looseText({ doc: 'Password. Never shown.', secret: true }) });

const tls = {
  certfile: text({ doc: 'Certificate, PEM.' }),
  keyfile: text({ doc: 'Its key, PEM.', default: 'certfile' }),
  keyfile_password: looseText({ doc: 'Password of the key.', secret: true }),
};

const etcdKeys = {
  hosts: texts({ doc: 'Endpoints, host:port; the port defaults to port, or 2379.' }, { commas: true, example: '10.0.0.1:2379' }),
  host: text({ doc: 'One endpoint, where there is one.' }),
  port: whole({ doc: 'Port of the hosts that are written without one.', default: 2379 }, { min: 1, max: 65_535, example: 2379 }),
  url: text({ doc: 'One endpoint as a URL, with user and password if need be.', secret: true }),
  proxy: text({ doc: 'URL of a proxy before etcd; members are not discovered then.', secret: true }),
  srv: text({ doc: 'DNS domain whose SRV records name the endpoints.' }),
  srv_suffix: text({ doc: 'Suffix of the SRV service name.' }),
  protocol: choice({ doc: 'For hosts without a scheme.', default: 'http' }, { http: 'http', https: 'https' } as const),
  use_proxies: flag({ doc: 'Keep to the endpoints given, without discovering members.', default: false, unreadable: 'default' }),
  username: text({ doc: 'User, where etcd has authentication.' }),
  password: looseText({ doc: 'Password of the user. Never shown.', secret: true }),
  cacert: text({ doc: 'CA certificates, PEM.' }),
  cert: text({ doc: 'Client certificate, PEM.' }),
  key: text({ doc: 'Client key, PEM.', default: 'cert' }),
};

const LEVELS = {
  DEBUG: 'DEBUG',
  INFO: 'INFO',
  WARNING: 'WARNING',
  ERROR: 'ERROR',
  CRITICAL: 'CRITICAL',
  WARN: 'WARNING',
  FATAL: 'CRITICAL',
} as const;

const logSection = section(
  { doc: 'Log of the agent.' },
  {
    type: choice({ doc: 'plain or json.', default: 'plain', unreadable: 'default' }, { plain: 'plain', json: 'json' } as const),
    level: choice({ doc: 'Least severe level that is written.', default: 'INFO', unreadable: 'default' }, LEVELS),
    format: freeFormat(),
    dateformat: text({ doc: 'strftime format of %(asctime)s.', unreadable: 'default' }),
    dir: text({ doc: 'Directory of the log files; without it: standard error.', unreadable: 'default' }),
    file_num: whole({ doc: 'Rotated files kept.', default: 4, unreadable: 'default' }, { min: 0, max: 10_000, example: 4 }),
    file_size: whole(
      { doc: 'Bytes at which a file is rotated.', default: 25_000_000, unreadable: 'default' },
      { min: 1, unit: 'B', example: 25_000_000 },
    ),
    mode: whole(
      { doc: 'Permissions of the files, octal.', default: 'by umask', unreadable: 'default' },
      { min: 0, max: 0o777, example: '0640' },
    ),
    static_fields: textMap({ doc: 'Fields added to every JSON record.', unreadable: 'default' }, 'app: regent'),
    deduplicate_heartbeat_logs: flag({ doc: 'Write a repeated round message once.', default: false, unreadable: 'default' }),
    traceback_level: choice({ doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' }, { ERROR: 'ERROR', DEBUG: 'DEBUG' }),
    max_queue_size: whole({ doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' }, { min: 0, example: 1000 }),
    loggers: textMap({ doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' }, 'patroni.ha: DEBUG'),
  },
);

/** One text, or for JSON a list of field names and `{field: name}`. */
function freeFormat() {
  const json: JsonObject = { anyOf: [{ type: 'string' }, { type: 'array' }] };
  return z
    .any()
    .transform((value: unknown, context): string | readonly (string | JsonObject)[] => {
      const list = Array.isArray(value) && value.every((item) => typeof item === 'string' || (typeof item === 'object' && item !== null));
      if ((typeof value === 'string' && value !== '') || list) return value as string | readonly (string | JsonObject)[];
      context.addIssue({
        code: 'custom',
        message: 'neither a text nor a list of fields',
        params: { mend: "write '%(asctime)s %(levelname)s: %(message)s'" },
      });
      return z.NEVER;
    })
    .optional()
    .register(about, {
      doc: 'Format of a line; for json a list of fields.',
      default: '%(asctime)s %(levelname)s: %(message)s',
      unreadable: 'default',
      kind: 'value',
      json,
    });
}

const restapiSection = section(
  { doc: 'HTTP server of the agent.' },
  {
    listen: address(
      { doc: 'Address and port it listens on.' },
      { defaultPort: null, example: '0.0.0.0:8008', single: true, anyHost: true },
    ),
    connect_address: address(
      { doc: 'host:port by which the other members reach it.' },
      { defaultPort: null, example: '10.0.0.1:8008', single: true },
    ),
    authentication: authentication('Basic authentication for everything that changes something.'),
    ...tls,
    cafile: text({ doc: 'CA of client certificates, PEM.' }),
    ciphers: text({ doc: "OpenSSL's cipher list." }),
    verify_client: choice(
      { doc: 'Client certificates: none, optional (for what changes something), required (for everything).', default: 'none' },
      { none: 'none', optional: 'optional', required: 'required' } as const,
    ),
    allowlist: texts(
      { doc: 'Addresses, networks and host names that may change something; empty: all.' },
      { commas: true, example: '10.0.0.0/8' },
    ),
    allowlist_include_members: flag({ doc: 'Let the other members in as well.', default: false }),
    http_extra_headers: headers('Headers added to every answer.'),
    https_extra_headers: headers('The same with TLS, instead of http_extra_headers of the same name.'),
    server_tokens: choice({ doc: 'What the Server header tells.', default: 'Original', unreadable: 'default' }, {
      Original: 'original',
      Minimal: 'minimal',
      ProductOnly: 'productonly',
    } as const),
    request_queue_size: whole({ doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' }, { min: 0, max: 4096, example: 5 }),
    thread_pool_size: whole({ doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' }, { min: 1, example: 5 }),
  },
);

const PLACEHOLDER = '__patroni_strict_sync_replica_placeholder__';

const pathWord = (doc: string, fallback?: string) =>
  text({ doc, ...(fallback === undefined ? {} : { default: fallback }) }, (value, echo) => {
    if (/[/\0]/.test(value)) return bad(`${echo(value)} contains a slash`, "write a word such as 'demo'; slashes separate keys in etcd");
    if (value === PLACEHOLDER) return bad('this name is reserved', "write another, such as the host's name");
    return good(value);
  });

export const localShape = {
  scope: pathWord('Name of the cluster: the same on all members.'),
  name: pathWord('Name of this member, unique in the cluster.'),
  namespace: looseText({ doc: 'First part of the keys in etcd; empty: none.', default: 'service' }),
  log: logSection,
  restapi: restapiSection,
  ctl: section(
    { doc: 'How regentctl and the other members talk to agents.' },
    {
      insecure: flag({ doc: 'Do not verify certificates.', default: false, unreadable: 'default' }),
      cacert: text({ doc: 'CA, PEM.', default: 'restapi.cafile' }),
      ...tls,
      authentication: authentication('Credentials; without them those of restapi.'),
      haproxy_url: text({ doc: "HAProxy's statistics, for `regentctl health`." }, (value) =>
        /^https?:\/\//.test(value) && URL.canParse(value)
          ? good(value)
          : bad('not a URL', "write it as in 'http://127.0.0.1:7000/stats;csv'"),
      ),
    },
  ),
  etcd3: section({ doc: 'The etcd cluster, version 3 API.' }, etcdKeys),
  etcd: section({ doc: 'The same as etcd3.' }, etcdKeys),
  bootstrap: bootstrapSection,
  postgresql: postgresSection,
  watchdog: section(
    { doc: 'Hardware watchdog.' },
    {
      mode: choice({ doc: 'off, automatic (used where it works) or required (no leadership without).', default: 'automatic' }, {
        off: 'off',
        automatic: 'automatic',
        required: 'required',
        auto: 'automatic',
        require: 'required',
        disable: 'off',
        disabled: 'off',
        false: 'off',
      } as const),
      device: text({ doc: 'Device file.', default: '/dev/watchdog' }),
      safety_margin: whole(
        { doc: 'Seconds by which the watchdog fires before ttl ends; -1: half of ttl.', default: 5 },
        { min: -1, max: 86_400, unit: 's', example: 5 },
      ),
      driver: text({ doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' }),
    },
  ),
  tags: tagsSection,
  router: freeMap({ doc: 'Settings of `regent router`; agents pass over them.' }),
  thread_pool_size: whole({ doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' }, { min: 1, example: 5 }),
  thread_stack_size: whole(
    { doc: "Accepted for Patroni's sake; no effect.", unreadable: 'default' },
    { min: 1, unit: 'B', example: 524_288 },
  ),
};

export const localSchema = z.looseObject(localShape);
/** What both the local and the dynamic `postgresql` may hold. */
export const sharedSchema = z.looseObject({ ...postgresShared, ...postgresDynamicOnly });
export const dynamicSchema = z.looseObject(dynamicShape);
export type LocalParsed = z.output<typeof localSchema>;
export type SharedParsed = z.output<typeof sharedSchema>;
export type DynamicParsed = z.output<typeof dynamicSchema>;

/** Sections of Patroni without effect here; the value says why it matters. */
export const UNSUPPORTED_SECTIONS = ['citus', 'failsafe_mode', 'standby_cluster'];
export const OTHER_DCS = ['consul', 'exhibitor', 'kubernetes', 'raft', 'zookeeper'];

/** For editors and forms. Draft 2020-12, of what may be written (before reading). */
export function jsonSchema(): JsonObject {
  const whole = z.looseObject({
    ...localShape,
    bootstrap: section(
      { doc: about.get(bootstrapSection)!.doc },
      { ...bootstrapSection.unwrap().shape, dcs: section({ doc: 'First dynamic configuration, written to etcd once.' }, dynamicShape) },
    ),
  });
  const schema = z.toJSONSchema(whole, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const info = about.get(zodSchema as unknown as z.ZodType);
      if (!info) return;
      Object.assign(jsonSchema, info.json, { description: info.doc }, info.default === undefined ? {} : { default: info.default });
    },
  });
  return schema as unknown as JsonObject;
}
