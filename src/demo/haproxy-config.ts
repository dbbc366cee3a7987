/**
 * The configuration of HAProxy (2.4 or newer) in front of a cluster: pure, from a description to
 * text.
 *
 * Backend and server names are what `regent router` addresses over the runtime socket:
 * postgres_primary, postgres_replicas, and the members' names.
 */
import { dirname } from 'node:path';
import { RegentError } from '../support/errors.ts';

export interface HaproxyDescription {
  readonly bindAddress: string;
  readonly writePort: number;
  readonly readPort: number;
  readonly statsPort: number;
  /** `"${NAME}"` is a variable of HAProxy's environment. */
  readonly stats: {
    readonly username: string;
    readonly password: string;
    /**
     * Browsers are asked for the password, curl is not. Only where nobody but this machine's users
     * reaches the port.
     */
    readonly openToTools: boolean;
  };
  /** Where changes of the servers are told: HAProxy's `log` line without the word. */
  readonly log: string;
  /** A Unix socket's path. */
  readonly runtimeSocket: string;
  /**
   * DNS server (address:port) to ask again while HAProxy runs, where addresses move; null: names
   * are looked up at the start.
   */
  readonly nameserver: string | null;
  readonly members: ReadonlyArray<{
    readonly name: string;
    readonly host: string;
    readonly postgresPort: number;
    readonly restPort: number;
  }>;
}

/** The foreground's own output, changes of servers and worse. */
export const LOG_TO_STDOUT = 'stdout format raw daemon notice';

/**
 * Of the process and, so that it changes nothing there, of each server for writes: HAProxy 3 takes
 * queued clients only to a server that has a limit.
 */
const MOST_CLIENTS = 1000;

export const PRIMARY_BACKEND = 'postgres_primary';
export const REPLICA_BACKEND = 'postgres_replicas';

const SAFE_WORD = /^(?:[A-Za-z0-9_.:@-]+|"\$\{[A-Z0-9_]+\}")$/;

/**
 * HAProxy's file has no quoting that all versions agree on; a word that would need it is refused.
 */
function word(what: string, value: string): string {
  if (SAFE_WORD.test(value)) return value;
  throw new RegentError('HAPROXY_WORD', `${what} cannot be written into HAProxy's configuration`, {
    mend: 'use letters, digits and . _ - : @ only',
  });
}

function socketPath(path: string): string {
  return path.replace(/[\\ "'#]/g, (character) => `\\${character}`);
}

function serverLines(description: HaproxyDescription): string[] {
  return description.members.map(
    ({ name, host, postgresPort, restPort }) =>
      `    server ${word('the name of a member', name)} ${word('the address of a member', host)}:${postgresPort} check port ${restPort}`,
  );
}

/** A server whose name is not known yet, or no longer, is out until it is. */
function resolverSection(nameserver: string | null): string {
  if (nameserver === null) return '';
  return `
resolvers names
    nameserver dns ${word('the address of the DNS server', nameserver)}
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
    hold nx 1s
    hold obsolete 1s
`;
}

function statsSections({ stats, bindAddress, statsPort }: HaproxyDescription): string {
  const username = word('the statistics user', stats.username);
  const password = word('the statistics password', stats.password);
  const open = `userlist operators
    user ${username} insecure-password ${password}

`;
  const closed = `    stats auth ${username}:${password}
`;
  const selective = `    # A browser must give the password, and a wrong one is refused; curl may read without one.
    acl known http_auth(operators)
    stats http-request auth realm Regent if !known { req.hdr(Accept) -m sub text/html }
    stats http-request auth realm Regent if !known { req.hdr(Authorization) -m found }
`;
  return `${stats.openToTools ? open : ''}frontend stats
    mode http
    bind ${bindAddress}:${statsPort}
    timeout client 30s
    stats enable
    stats uri /stats
    stats refresh 5s
${stats.openToTools ? selective : closed}`;
}

export function haproxyConfig(description: HaproxyDescription): string {
  const { bindAddress, writePort, readPort, nameserver } = description;
  const servers = serverLines(description);
  const resolvers = nameserver === null ? '' : ' resolvers names init-addr libc,none';
  return `global
    maxconn ${MOST_CLIENTS}
    log ${description.log}
    # regent router speaks through this socket; without it the health checks below decide alone.
    stats socket ${socketPath(description.runtimeSocket)} mode 600 level admin
    stats timeout 60s

defaults
    mode tcp
    log global
    timeout connect 4s
    timeout client 30m
    timeout server 30m
    timeout check 2s
    # A check runs every 3 s while all is well, and more often while a server is changing or down: that is where the new primary comes from.
    default-server inter 3s fastinter 500ms downinter 1s fall 3 rise 2${resolvers}
${resolverSection(nameserver)}
# Both are for regent router: it waits in the waiting room, so that others are queued, and notices a reload.
frontend regent_wait
    bind unix@${socketPath(dirname(description.runtimeSocket))}/wait.sock mode 600
    default_backend ${PRIMARY_BACKEND}
frontend regent_sign
    mode http
    bind unix@${socketPath(dirname(description.runtimeSocket))}/sign.sock mode 600
    timeout client 1h
    http-request return status 200

frontend postgres_write
    bind ${bindAddress}:${writePort}
    default_backend ${PRIMARY_BACKEND}

# Only the leader answers 200 to /primary. A client that comes while no server is up is kept. Nobody answers in the waiting room, so it is
# tried again every 200 ms for up to 6 s; while regent router occupies the one place there, it is queued for up to 10 s, and gets the next
# primary within milliseconds. Sessions end with their server; those whose server has vanished without a word end after 6 s.
# (No on-marked-down shutdown-sessions: HAProxy 3.0 would leave kept clients hanging.)
backend ${PRIMARY_BACKEND}
    option httpchk OPTIONS /primary
    http-check expect status 200
    retries 30
    option redispatch 1
    timeout connect 200ms
    timeout queue 10s
    option allbackups
    use-server waiting-room if { fe_name regent_wait }
    option srvtcpka
    srvtcpka-idle 3s
    srvtcpka-intvl 1s
    srvtcpka-cnt 3
    default-server tcp-ut 6s maxconn ${MOST_CLIENTS}
${servers.join('\n')}
    server waiting-room 127.0.0.1:1 maxconn 1 backup

frontend postgres_read
    bind ${bindAddress}:${readPort}
    default_backend ${REPLICA_BACKEND}

# Every healthy node, the primary too: /read-only answers 200 on all of them. (Asking / here, as is often seen, would leave the primary alone.)
# A connection that is refused, or not taken within 500 ms, is tried on another node. A node that stands still is out within about 3 s, with
# regent router within about 2; its sessions are ended then. Those of a host that has vanished without a word end after 6 s in any case.
backend ${REPLICA_BACKEND}
    balance roundrobin
    option httpchk OPTIONS /read-only
    http-check expect status 200
    option redispatch 1
    timeout connect 500ms
    timeout check 500ms
    option srvtcpka
    srvtcpka-idle 3s
    srvtcpka-intvl 1s
    srvtcpka-cnt 3
    default-server inter 1s fastinter 250ms tcp-ut 6s
${servers.join('\n')}

${statsSections(description)}`;
}
