/** The part of the table of settings (table.ts) that stands below `postgresql`. */
import { ROLE_NAMES, type RoleName } from '../core/settings.ts';
import { BASEBACKUP_FORBIDDEN, REWIND_FORBIDDEN } from '../pgconf/program-options.ts';
import { hbaLine, identLine } from './access-lines.ts';
import { address, flag, gucMap, looseText, programOptions, text, texts, whole } from './kinds.ts';
import { bad, good } from './read.ts';
import { type About, section } from './setting.ts';

const DEFAULT = { unreadable: 'default' } as const;
const SECRET = { secret: true } as const;

function credentials(doc: string, env: string, username: ReturnType<typeof roleName>) {
  return section(
    doc,
    { env },
    {
      username,
      password: looseText('Its password. Never shown, never written to etcd.', SECRET),
      sslmode: text("libpq's sslmode.", { defaultIs: 'prefer' }),
      sslcert: text('Client certificate.'),
      sslkey: text('Client key.'),
      sslpassword: looseText('Password of the client key.', SECRET),
      sslrootcert: text('CA certificates.'),
      sslcrl: text('Revocation list.'),
      sslcrldir: text('Directory of revocation lists (PostgreSQL 14+).'),
      gssencmode: text("libpq's gssencmode."),
      channel_binding: text("libpq's channel_binding."),
      sslnegotiation: text("libpq's sslnegotiation (PostgreSQL 17+)."),
    },
  );
}

const roleName = (about: About) => text<About>('Role name.', about);

/** May be given for one node only; ignored in the cluster-wide `postgresql`. */
export const postgresLocal = {
  listen: address(
    'Addresses and port PostgreSQL listens on: host[,host]:port, `*` for all. Sets listen_addresses and port.',
    { defaultPort: 5432, example: '0.0.0.0:5432', single: false },
    { required: '0.0.0.0:5432', needs: 'restart-postgres', env: 'POSTGRESQL_LISTEN', as: ['listenAddresses', 'port'] },
  ),
  connect_address: address(
    'host:port by which the other members and clients reach this PostgreSQL.',
    { defaultPort: 5432, example: '10.0.0.1:5432', single: true },
    { required: '10.0.0.1:5432', env: 'POSTGRESQL_CONNECT_ADDRESS', as: ['connectHost', 'connectPort'] },
  ),
  proxy_address: address(
    'host:port of a pooler in front of this PostgreSQL, published to clients.',
    { defaultPort: 5432, example: '10.0.0.1:6432', single: true },
    { env: 'POSTGRESQL_PROXY_ADDRESS', as: ['proxyAddress'] },
  ),
  data_dir: text('Data directory. Created if missing.', {
    required: '/var/lib/postgresql/data',
    needs: 'restart-agent',
    holds: 'postgresql',
    env: 'POSTGRESQL_DATA_DIR',
    as: ['dataDir', 'configDir'],
  }),
  config_dir: text('Directory of the configuration files. Made, where it is missing, for a new data directory.', {
    defaultIs: 'data_dir',
    needs: 'restart-agent',
    holds: 'postgresql',
    env: 'POSTGRESQL_CONFIG_DIR',
    as: ['configDir'],
  }),
  config_base_name: text(
    'Name of the configuration file without .conf, and of its base file without .base.conf.',
    { default: 'postgresql', needs: 'restart-agent', holds: 'postgresql' },
    (value, echo) => (/^[^/\0]+$/.test(value) ? good(value) : bad(`${echo(value)} is not the name of a file`, "write 'postgresql'")),
  ),
  pgpass: text('Password file that Regent writes (0600).', {
    defaultIs: '~/pgpass; without a HOME that the user may write to: .pgpass-NAME beside the data directory',
    needs: 'restart-agent',
    env: 'POSTGRESQL_PGPASS',
    as: ['pgpass'],
  }),
  authentication: section(
    'Roles Regent uses.',
    {},
    {
      superuser: credentials('Administration; made at bootstrap.', 'SUPERUSER_', roleName({ default: 'postgres' })),
      replication: credentials('Streaming and cloning; made at bootstrap.', 'REPLICATION_', roleName({ required: 'replicator' })),
      rewind: credentials('pg_rewind; made at bootstrap. Without it the superuser.', 'REWIND_', roleName({ defaultIs: 'superuser' })),
    },
  ),
};

const binName = (name: string) => text(`File name of ${name}.`, { defaultIs: name });

/** Made by hand: see role-parts.ts. */
const BY_HAND = { as: ['byRole'] } as const;
const ofRole = (role: RoleName) => `while this node is ${role === 'replica' ? 'a replica' : `the ${role.replace('_', ' ')}`}`;

const roleParameters = {
  parameters_primary: gucMap(`Laid over parameters ${ofRole('primary')}.`, BY_HAND),
  parameters_replica: gucMap(`Laid over parameters ${ofRole('replica')}.`, BY_HAND),
  parameters_standby_leader: gucMap(`Laid over parameters ${ofRole('standby_leader')}.`, BY_HAND),
};

const HBA_LINES = { commas: false, lines: true, check: hbaLine, example: "'host all all 10.0.0.0/8 scram-sha-256'" };
const IDENT_LINES = { commas: false, lines: true, check: identLine, example: "'mymap root postgres'" };

function roleAccess<const F extends 'pg_hba' | 'pg_ident'>(file: F) {
  const lines = (role: RoleName) =>
    texts(`Lines of ${file}.conf ${ofRole(role)}, instead of ${file}.`, file === 'pg_hba' ? HBA_LINES : IDENT_LINES, BY_HAND);
  const rows = ROLE_NAMES.map((role) => [`${file}_${role}`, lines(role)] as const);
  return Object.fromEntries(rows) as Record<`${F}_${RoleName}`, ReturnType<typeof lines>>;
}

/** May also be given in the cluster-wide `postgresql`; the local file wins, key by key. */
export const postgresShared = {
  bin_dir: looseText("Directory of PostgreSQL's programs; empty: PATH.", { default: '', env: 'POSTGRESQL_BIN_DIR' }),
  bin_name: section(
    'Other names of the programs.',
    { env: 'POSTGRESQL_BIN_' },
    {
      pg_ctl: binName('pg_ctl'),
      initdb: binName('initdb'),
      pg_controldata: binName('pg_controldata'),
      pg_basebackup: binName('pg_basebackup'),
      postgres: binName('postgres'),
      pg_isready: binName('pg_isready'),
      pg_rewind: binName('pg_rewind'),
    },
  ),
  database: text('Database Regent connects to.', { default: 'postgres' }),
  krbsrvname: text('Kerberos service name of the members, for GSSAPI; programs and scripts find it in PGKRBSRVNAME.'),
  parameters: gucMap('PostgreSQL parameters. The cluster-wide ones (see below) count only in the dynamic configuration.'),
  pg_hba: texts('Lines of pg_hba.conf.', HBA_LINES),
  pg_ident: texts('Lines of pg_ident.conf.', IDENT_LINES),
  ...roleParameters,
  ...roleAccess('pg_hba'),
  ...roleAccess('pg_ident'),
  custom_conf: text('File that postgresql.conf includes instead of postgresql.base.conf.'),
  recovery_conf: gucMap('Recovery parameters of a standby, such as restore_command.'),
  create_replica_methods: texts(
    'Ways to make a replica, tried in order.',
    { commas: true, keys: true, example: 'basebackup' },
    { default: ['basebackup'] },
  ),
  basebackup: programOptions('Further options of pg_basebackup.', BASEBACKUP_FORBIDDEN, { default: [], ...DEFAULT }),
  callbacks: section(
    'Commands run after a change, as `COMMAND ACTION ROLE SCOPE`.',
    {},
    {
      on_start: text('After PostgreSQL started.'),
      on_stop: text('After PostgreSQL stopped.'),
      on_restart: text('After a restart.'),
      on_reload: text('After a reload.'),
      on_role_change: text('After a promotion or demotion.'),
    },
  ),
  pre_promote: text('Command run before a promotion; a failure, or no end within primary_start_timeout, gives leadership up.'),
  before_stop: text(
    'Command run before PostgreSQL is stopped. A stop that an operator asked for, and the end of the agent, wait for it for pg_ctl_timeout; a primary that must stop now, for half of the time it has. Clients are turned away meanwhile.',
  ),
  pg_ctl_timeout: whole(
    'Seconds for PostgreSQL to start, stop or promote.',
    { min: 1, max: 86_400, unit: 's', example: 60 },
    { default: 60, ...DEFAULT, as: 'pgCtlTimeoutSeconds' },
  ),
  use_pg_rewind: flag('Repair a diverged data directory with pg_rewind.', { default: false, ...DEFAULT }),
  rewind: programOptions('Further options of pg_rewind.', REWIND_FORBIDDEN, { default: [], ...DEFAULT, as: 'rewindOptions' }),
  remove_data_directory_on_rewind_failure: flag('Make a new copy when pg_rewind fails.', { default: false, ...DEFAULT }),
  remove_data_directory_on_diverged_timelines: flag('Make a new copy when timelines diverged and pg_rewind is not used.', {
    default: false,
    ...DEFAULT,
  }),
  use_unix_socket: flag('Connect through the Unix socket.', { default: false, ...DEFAULT }),
  use_unix_socket_repl: flag('The same for replication connections.', { default: false, ...DEFAULT }),
};

/** Only in the cluster-wide `postgresql`. */
export const postgresDynamicOnly = {
  use_slots: flag('Use replication slots.', { default: true }),
};

/** What both the local and the dynamic `postgresql` may hold. */
export const postgresEverywhere = { ...postgresShared, ...postgresDynamicOnly };
