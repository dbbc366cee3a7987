/**
 * Links between agents: connections to the REST API's port, by HTTP's `Upgrade`, that stay open.
 * This agent opens one to each member that it asks something, and answers on those that others have
 * opened to it. The REST server lets them in (api/upgrade.ts).
 */
import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import type { LookupFunction } from 'node:net';
import { sourceOf } from '../../core/member-source.ts';
import type { LocalSettings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { LinkListener, Links } from '../../ports/links.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';
import { basicAuth, type TlsOptions } from '../../support/http.ts';
import { DIALECT_VERSION } from '../../version.ts';
import { clusterPrefix } from '../etcd/keys.ts';
import { IncomingLinks, type Opening, type Refusal } from './incoming-links.ts';
import { knock, SSL_REQUEST } from './knock.ts';
import { type Dialed, dial } from './link-dial.ts';
import { LINK_HEADERS } from './link-wire.ts';
import { apiOf, placeOf } from './member-place.ts';
import { OutgoingLink } from './outgoing-link.ts';

export interface LinksOptions {
  /** The settings in force; asked for again whenever a link is opened. */
  readonly settings: () => Pick<LocalSettings, 'name' | 'scope' | 'namespace' | 'ctl'>;
  /** What links to https addresses are encrypted with, likewise. */
  readonly tls: () => TlsOptions;
  readonly clock: Clock;
  /** Of host names; shared with whoever else speaks to the members. */
  readonly lookup: LookupFunction;
  readonly log: Log;
}

export interface SocketLinks extends Links {
  /**
   * Takes the connection of an agent that was let in; it answers the request itself. Otherwise says
   * why not, and leaves the answer to the caller.
   */
  accept(opening: Opening): Refusal | null;
}

interface Outgoing {
  readonly apiUrl: string;
  readonly link: OutgoingLink;
}

export function createLinks(options: LinksOptions): SocketLinks {
  const { clock, log, lookup, settings } = options;
  const process = randomUUID();
  const outgoing = new Map<string, Outgoing>();
  let listener: LinkListener | null = null;
  let isClosed = false;
  const incoming = new IncomingLinks({
    me: () => ({ name: settings().name, cluster: clusterOf(settings()) }),
    listener: () => listener,
    log,
  });
  const linkTo = (name: string, url: URL): OutgoingLink => {
    const before = outgoing.get(name);
    if (before?.apiUrl === url.href) return before.link;
    before?.link.close();
    const link = makeLink(options, process, name, url);
    outgoing.set(name, { apiUrl: url.href, link });
    return link;
  };
  return {
    accept: (opening) => incoming.accept(opening),
    listen(wanted) {
      listener = wanted;
    },
    ask(member, message, { timeoutMs }) {
      const url = apiOf(member);
      return url === null || isClosed ? Promise.resolve(null) : linkTo(member.name, url).ask(message, timeoutMs);
    },
    async knockAgent(member, { timeoutMs }) {
      const url = apiOf(member);
      return url === null ? 'silent' : knock({ ...placeOf(url), say: null, timeoutMs, clock, lookup });
    },
    async knockPostgres(member, { timeoutMs }) {
      const source = sourceOf(member);
      return source === null ? 'silent' : knock({ host: source.host, port: source.port, say: SSL_REQUEST, timeoutMs, clock, lookup });
    },
    close() {
      isClosed = true;
      incoming.close();
      for (const { link } of outgoing.values()) link.close();
      outgoing.clear();
    },
  };
}

function makeLink({ settings, tls, clock, lookup, log }: LinksOptions, process: string, name: string, url: URL): OutgoingLink {
  let told: string | null = null;
  return new OutgoingLink({
    clock,
    dial: async (n, signal) => {
      try {
        const headers = openingHeaders(settings(), name, `${process}.${n}`);
        return await dial({ url: new URL('/link', url), headers, tls: tls(), clock, lookup, signal });
      } catch (error) {
        return { kind: 'failed', reason: ensureError(error).message };
      }
    },
    onDialed: (dialed) => {
      const state = dialed.kind === 'refused' ? dialed.reason : dialed.kind;
      if (state === told) return;
      told = state;
      if (isLockedOut(dialed)) log.warning(`${name} refuses messages of this member: ${dialed.reason}`);
      else log.debug(`link to ${name}: ${dialed.kind === 'open' ? 'open' : dialed.reason}`);
    },
  });
}

/** Somebody has to mend that; everything else passes, or is another dialect. */
function isLockedOut(dialed: Dialed): dialed is Dialed & { kind: 'refused' } {
  return dialed.kind === 'refused' && [401, 403, 421].includes(dialed.status);
}

function openingHeaders(settings: ReturnType<LinksOptions['settings']>, to: string, dialled: string): OutgoingHttpHeaders {
  const { authentication } = settings.ctl;
  return {
    'User-Agent': `Patroni/${DIALECT_VERSION} (Regent)`,
    [LINK_HEADERS.from]: encodeURIComponent(settings.name),
    [LINK_HEADERS.to]: encodeURIComponent(to),
    [LINK_HEADERS.cluster]: encodeURIComponent(clusterOf(settings)),
    [LINK_HEADERS.dial]: dialled,
    ...(authentication && { Authorization: basicAuth(authentication.username, authentication.password) }),
  };
}

const clusterOf = ({ namespace, scope }: Pick<LocalSettings, 'namespace' | 'scope'>) => clusterPrefix(namespace, scope);
