/** `postgresql:`, `bootstrap:`. Keys and defaults: patroni-compat 2.4, 6.1, 6.2. */

import { BASEBACKUP_FORBIDDEN, INITDB_FORBIDDEN, REWIND_FORBIDDEN } from '../pgconf/program-options.ts';
import { address, flag, freeMap, gucMap, looseText, programOptions, section, tagFlag, text, textMap, texts, whole } from './leaves.ts';

function credentials(doc: string, fallback: string) {
  return section(
    { doc },
    {
      username: text({ doc: 'Role name.', default: fallback }),
      password: looseText({ doc: 'Its password. Never shown, never written to etcd.', secret: true }),
      sslmode: text({ doc: "libpq's sslmode.", default: 'prefer' }),
      sslcert: text({ doc: 'Client certificate.' }),
      sslkey: text({ doc: 'Client key.' }),
      sslpassword: looseText({ doc: 'Password of the client key.', secret: true }),
      sslrootcert: text({ doc: 'CA certificates.' }),
      sslcrl: text({ doc: 'Revocation list.' }),
      sslcrldir: text({ doc: 'Directory of revocation lists (PostgreSQL 14+).' }),
      gssencmode: text({ doc: "libpq's gssencmode." }),
      channel_binding: text({ doc: "libpq's channel_binding." }),
      sslnegotiation: text({ doc: "libpq's sslnegotiation (PostgreSQL 17+)." }),
    },
  );
}

/** May be given for one node only; ignored in the cluster-wide `postgresql`. */
export const postgresLocal = {
  listen: address(
    { doc: 'Addresses and port PostgreSQL listens on: host[,host]:port, `*` for all. Sets listen_addresses and port.' },
    { defaultPort: 5432, example: '0.0.0.0:5432', single: false },
  ),
  connect_address: address(
    { doc: 'host:port by which the other members and clients reach this PostgreSQL.' },
    { defaultPort: 5432, example: '10.0.0.1:5432', single: true },
  ),
  proxy_address: address(
    { doc: 'host:port of a pooler in front of this PostgreSQL, published to clients.' },
    { defaultPort: 5432, example: '10.0.0.1:6432', single: true },
  ),
  data_dir: text({ doc: 'Data directory. Created if missing.' }),
  config_dir: text({
    doc: 'Directory of the configuration files. Made, where it is missing, for a new data directory.',
    default: 'data_dir',
  }),
  pgpass: text({
    doc: 'Password file that Regent writes (0600).',
    default: '~/pgpass; without a HOME that the user may write to: .pgpass-NAME beside the data directory',
  }),
  authentication: section(
    { doc: 'Roles Regent uses.' },
    {
      superuser: credentials('Administration; made at bootstrap.', 'postgres'),
      replication: credentials('Streaming and cloning; made at bootstrap.', ''),
      rewind: credentials('pg_rewind; made at bootstrap. Without it the superuser.', 'superuser'),
    },
  ),
};

const binName = (name: string) => text({ doc: `File name of ${name}.`, default: name });

/** May also be given in the cluster-wide `postgresql`; the local file wins, key by key. */
export const postgresShared = {
  bin_dir: looseText({ doc: "Directory of PostgreSQL's programs; empty: PATH.", default: '' }),
  bin_name: section(
    { doc: 'Other names of the programs.' },
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
  database: text({ doc: 'Database Regent connects to.', default: 'postgres' }),
  parameters: gucMap({ doc: 'PostgreSQL parameters. The cluster-wide ones (see below) count only in the dynamic configuration.' }),
  pg_hba: texts({ doc: 'Lines of pg_hba.conf.' }, { commas: false, lines: true, example: "'host all all 10.0.0.0/8 scram-sha-256'" }),
  pg_ident: texts({ doc: 'Lines of pg_ident.conf.' }, { commas: false, lines: true, example: "'mymap root postgres'" }),
  custom_conf: text({ doc: 'File that postgresql.conf includes instead of postgresql.base.conf.' }),
  recovery_conf: gucMap({ doc: 'Recovery parameters of a standby, such as restore_command.' }),
  create_replica_methods: texts(
    { doc: 'Ways to make a replica, tried in order.', default: ['basebackup'] },
    { commas: true, keys: true, example: 'basebackup' },
  ),
  basebackup: programOptions({ doc: 'Further options of pg_basebackup.', unreadable: 'default' }, BASEBACKUP_FORBIDDEN),
  callbacks: section(
    { doc: 'Commands run after a change, as `COMMAND ACTION ROLE SCOPE`.' },
    {
      on_start: text({ doc: 'After PostgreSQL started.' }),
      on_stop: text({ doc: 'After PostgreSQL stopped.' }),
      on_restart: text({ doc: 'After a restart.' }),
      on_reload: text({ doc: 'After a reload.' }),
      on_role_change: text({ doc: 'After a promotion or demotion.' }),
    },
  ),
  pre_promote: text({ doc: 'Command run before a promotion; a failure, or no end within primary_start_timeout, gives leadership up.' }),
  before_stop: text({ doc: 'Command run before PostgreSQL is stopped.' }),
  pg_ctl_timeout: whole(
    { doc: 'Seconds for PostgreSQL to start, stop or promote.', default: 60, unreadable: 'default' },
    { min: 1, max: 86_400, unit: 's', example: 60 },
  ),
  use_pg_rewind: flag({ doc: 'Repair a diverged data directory with pg_rewind.', default: false, unreadable: 'default' }),
  rewind: programOptions({ doc: 'Further options of pg_rewind.', unreadable: 'default' }, REWIND_FORBIDDEN),
  remove_data_directory_on_rewind_failure: flag({ doc: 'Clone anew when pg_rewind fails.', default: false, unreadable: 'default' }),
  remove_data_directory_on_diverged_timelines: flag({
    doc: 'Clone anew when timelines diverged and pg_rewind is not used.',
    default: false,
    unreadable: 'default',
  }),
  use_unix_socket: flag({ doc: 'Connect through the Unix socket.', default: false, unreadable: 'default' }),
  use_unix_socket_repl: flag({ doc: 'The same for replication connections.', default: false, unreadable: 'default' }),
};

/** Only in the cluster-wide `postgresql`. */
export const postgresDynamicOnly = {
  use_slots: flag({ doc: 'Use replication slots.', default: true }),
};

/** Known to Patroni, without effect here. */
export const POSTGRES_UNSUPPORTED = [
  'config_base_name',
  'krbsrvname',
  'parameters_primary',
  'parameters_replica',
  'parameters_standby_leader',
  'pg_hba_primary',
  'pg_hba_replica',
  'pg_hba_standby_leader',
  'pg_ident_primary',
  'pg_ident_replica',
  'pg_ident_standby_leader',
];

export const postgresSection = section({ doc: 'PostgreSQL on this node.' }, { ...postgresLocal, ...postgresShared });

export const bootstrapSection = section(
  { doc: 'How a new cluster is made. Without effect once it exists.' },
  {
    dcs: freeMap({ doc: 'First dynamic configuration, written to etcd once.', unreadable: 'no-bootstrap' }),
    method: text({
      doc: 'How the first data directory is made: `initdb` or the name of a section below `bootstrap`.',
      default: 'initdb',
      unreadable: 'no-bootstrap',
    }),
    initdb: programOptions({ doc: 'Options of initdb.', unreadable: 'no-bootstrap' }, INITDB_FORBIDDEN),
    post_bootstrap: text({ doc: 'Command run once on the new primary, with a connection string.', unreadable: 'no-bootstrap' }),
    pg_hba: texts(
      { doc: 'Lines added to the pg_hba.conf of a new cluster.', unreadable: 'no-bootstrap' },
      { commas: false, lines: true, example: "'host all all all scram-sha-256'" },
    ),
  },
);

export const tagsSection = section(
  { doc: 'What the other members and load balancers should know of this one. Other keys are published as they are.' },
  {
    nofailover: tagFlag({ doc: 'Never lead.', default: false }),
    failover_priority: whole(
      { doc: 'Higher leads first at equal positions; 0: never.', default: 1, unreadable: 'default' },
      { example: 1 },
    ),
    noloadbalance: tagFlag({ doc: 'Not offered for reading.', default: false }),
    clonefrom: tagFlag({ doc: 'Preferred source of clones.', default: false }),
    replicatefrom: text({ doc: 'Name of the member to stream from, instead of the leader.' }),
    nosync: tagFlag({ doc: 'Never a synchronous standby.', default: false }),
    sync_priority: whole({ doc: 'Higher becomes synchronous first; 0: never.', default: 1, unreadable: 'default' }, { example: 1 }),
    nostream: tagFlag({ doc: 'No streaming replication.', default: false }),
  },
);

export const headers = (doc: string) => textMap({ doc, unreadable: 'default' }, 'X-Frame-Options: DENY');
