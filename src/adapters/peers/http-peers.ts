/**
 * Peers over HTTP(S): one GET of api_url each, all at once, on connections kept open between
 * rounds. Failsafe mode is asked for by POST, on connections of its own.
 */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Member } from '../../core/cluster.ts';
import { sourceOf } from '../../core/member-source.ts';
import type { CtlSettings, RestSettings } from '../../core/settings.ts';
import { readPeerBody } from '../../dialect/peer-body.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { FailsafeQuestion, PeerStatus, Peers, Reached } from '../../ports/peers.ts';
import { parseJson, stringifyCompact } from '../../support/big-json.ts';
import { certificateTrouble } from '../../support/certificates.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { basicAuth, exchange, HttpFailure, type TlsOptions } from '../../support/http.ts';
import type { JsonObject } from '../../support/json.ts';
import { retireAgent } from '../../support/retire-agent.ts';
import { DIALECT_VERSION } from '../../version.ts';
import { apiOf, placeOf } from './member-place.ts';

export interface PeersOptions {
  /** The settings in force; asked for again at every renew(). */
  readonly settings: () => { readonly ctl: CtlSettings; readonly restapi: RestSettings };
  readonly log: Log;
  readonly clock: Clock;
  /** Of host names; shared with whoever else speaks to the members. */
  readonly lookup: LookupFunction;
}

export interface HttpPeers extends Peers {
  /**
   * Reads the settings and the certificate files again; connections made from now on use them.
   * Never throws: what cannot be read is logged, and the certificates from before stay.
   */
  renew(): void;
  /** What connections to the members are encrypted with at present. */
  tls(): TlsOptions;
}

interface Connections {
  readonly kept: Agent;
  readonly fresh: () => Agent;
}

const MAX_BODY_BYTES = 1024 * 1024;
const USER_AGENT = `Patroni/${DIALECT_VERSION} (Regent)`;
const FAILSAFE_TRIES = 2;
/**
 * For so long an answer may still come in that nobody waits for any more: by then the connection
 * stands, and the next question needs one round trip only. Members ask each other when something
 * has happened, so the first question is always on a new connection, of two round trips, or three
 * with TLS.
 */
const OPENING_MS = 2000;
/** Of an answer that refuses, for the log. */
const MOST_WORDS = 100;

/**
 * Never throws: with certificates that cannot be used the members are asked without one, until
 * renew() finds better ones.
 */
export function createPeers(options: PeersOptions): HttpPeers {
  const plain: Connections = { kept: new Agent({ keepAlive: true }), fresh: () => new Agent() };
  let tls = firstTlsOptions(options);
  let secure = secureConnections(tls);
  /** Members whose answer is late: one question at a time may outlast its asker. */
  const late = new Set<string>();
  const textOf = (member: Reached, timeoutMs: number): Promise<string> => {
    const url = new URL(member.apiUrl ?? '');
    const connections = url.protocol === 'https:' ? secure : plain;
    const fetch = (ms: number) => fetchText(url, connections, ms, options);
    if (late.has(member.name) || timeoutMs >= OPENING_MS) return fetch(timeoutMs);
    late.add(member.name);
    const answer = fetch(OPENING_MS).finally(() => late.delete(member.name));
    return withinMs(answer, timeoutMs, options.clock);
  };
  const ask = async (member: Reached, timeoutMs: number): Promise<PeerStatus | null> => {
    try {
      const status = readPeerBody(member.name, parseJson(await textOf(member, timeoutMs)));
      if (status === null) options.log.debug(`${member.name} answers, but says nothing of its WAL position`);
      return status;
    } catch (error) {
      options.log.debug(`${member.name} cannot be asked: ${ensureError(error).message}`);
      return null;
    }
  };
  const postOnce = (apiUrl: string, body: string, timeoutMs: number) => {
    const url = new URL('/failsafe', apiUrl);
    const { authentication } = options.settings().ctl;
    const headers = {
      'User-Agent': USER_AGENT,
      'Content-Type': 'application/json',
      ...(authentication && { Authorization: basicAuth(authentication.username, authentication.password) }),
    };
    const agent = (url.protocol === 'https:' ? secure : plain).fresh();
    return exchange(url, { method: 'POST', headers, body, agent, lookup: options.lookup }, { timeoutMs, maxBytes: MAX_BODY_BYTES });
  };
  /** Null: it agrees. An answer of any kind is not asked for again. */
  const refusalOf = async (apiUrl: string, body: string, timeoutMs: number): Promise<string | null> => {
    let failure = '';
    for (let tries = 0; tries < FAILSAFE_TRIES; tries += 1) {
      try {
        const { status, text } = await postOnce(apiUrl, body, timeoutMs);
        return status === 200 && text === 'Accepted' ? null : `${status} ${text.slice(0, MOST_WORDS)}`.trim();
      } catch (error) {
        failure = ensureError(error).message;
      }
    }
    return failure;
  };
  return {
    prepare(members) {
      for (const host of new Set(members.flatMap(hostsOf))) if (isIP(host) === 0) options.lookup(host, { all: true }, () => {});
    },
    async ask(members, { timeoutMs }) {
      const answers = await Promise.all(members.map((member) => ask(member, timeoutMs)));
      return new Map(answers.filter((answer) => answer !== null).map((answer) => [answer.name, answer]));
    },
    async agree(members, question, { timeoutMs }) {
      const body = stringifyCompact(failsafeBody(question));
      const one = async ([name, apiUrl]: readonly [string, string]) => ({ name, refusal: await refusalOf(apiUrl, body, timeoutMs) });
      return Promise.all(Object.entries(members).map(one));
    },
    renew() {
      try {
        const renewed = tlsOptions(options.settings());
        if (isDeepStrictEqual(renewed, tls)) return;
        tls = renewed;
        retireAgent(secure.kept);
        secure = secureConnections(tls);
        options.log.info('new connections to the other members use the renewed certificates');
      } catch (error) {
        complain(options.log, 'the other members are asked with the certificates from before', error);
      }
    },
    tls: () => tls,
    close() {
      plain.kept.destroy();
      secure.kept.destroy();
    },
  };
}

function secureConnections(tls: TlsOptions): Connections {
  return { kept: new TlsAgent({ ...tls, keepAlive: true }), fresh: () => new TlsAgent(tls) };
}

function complain(log: Log, what: string, error: unknown): void {
  log.error(`${what}: ${ensureError(error).message}`, { mend: error instanceof RegentError ? error.mend : null });
}

/** Patroni starts with such certificates, too. What verifies the peers is not given up. */
function firstTlsOptions({ settings, log }: PeersOptions): TlsOptions {
  try {
    return tlsOptions(settings());
  } catch (error) {
    complain(log, 'the other members are asked without a certificate', error);
    const { ctl, restapi } = settings();
    const cafile = ctl.cacert ?? restapi.cafile;
    const ca = cafile === null ? {} : ifReadable(cafile);
    return { ...ca, rejectUnauthorized: true, checkServerIdentity: anyHost };
  }
}

function ifReadable(cafile: string): TlsOptions {
  try {
    const ca = readFileSync(cafile);
    return certificateTrouble({ ca }) === null ? { ca } : {};
  } catch {
    return {};
  }
}

/**
 * Patroni's rule between daemons: with a client certificate the peer must have one of our
 * authority, whatever host it names; without, any will do.
 */
function tlsOptions({ ctl, restapi }: ReturnType<PeersOptions['settings']>): TlsOptions {
  if (ctl.certfile === null) return { rejectUnauthorized: false };
  const cafile = ctl.cacert ?? restapi.cafile;
  const material = {
    cert: pem('ctl.certfile', ctl.certfile),
    key: pem('ctl.keyfile', ctl.keyfile ?? ctl.certfile),
    ...(ctl.keyfilePassword !== null && { passphrase: ctl.keyfilePassword }),
    ...(cafile !== null && { ca: pem('ctl.cacert', cafile) }),
  };
  const trouble = certificateTrouble(material);
  if (trouble === null) return { ...material, rejectUnauthorized: true, checkServerIdentity: anyHost };
  throw new RegentError('PEERS_TLS', `the certificate of ctl cannot be used (${ctl.certfile}): ${trouble}`, {
    mend: 'ctl.certfile, keyfile and cacert must name PEM files, and the key must belong to the certificate.',
  });
}

const anyHost = () => undefined;

function pem(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new RegentError('PEERS_TLS', `${setting}: ${ensureError(error).message}`, {
      mend: 'Name a PEM file the agent may read.',
      cause: error,
    });
  }
}

/**
 * The peer may have closed a kept connection in the very moment we use it, which says nothing of
 * the peer. So the request is tried once more on a fresh one, within the same deadline.
 */
async function fetchText(url: URL, { kept, fresh }: Connections, timeoutMs: number, { clock, lookup }: PeersOptions): Promise<string> {
  const deadline = clock.monotonicMs() + timeoutMs;
  const fetchOnce = async (agent: Agent, ms: number) =>
    (await exchange(url, { agent, headers: { 'User-Agent': USER_AGENT }, lookup }, { timeoutMs: ms, maxBytes: MAX_BODY_BYTES })).text;
  try {
    return await fetchOnce(kept, timeoutMs);
  } catch (error) {
    if (!(error instanceof HttpFailure && error.stale)) throw error;
    return await fetchOnce(fresh(), Math.max(1, deadline - clock.monotonicMs()));
  }
}

/** Of its REST API and of its PostgreSQL. */
function hostsOf(member: Member): readonly string[] {
  const api = apiOf(member);
  const source = sourceOf(member);
  return [...(api === null ? [] : [placeOf(api).host]), ...(source === null ? [] : [source.host])];
}

/** Rejects when the time is up; what comes of it later is of no interest. */
function withinMs<T>(answer: Promise<T>, ms: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(ms, () => reject(new Error(`no answer within ${ms} ms`)));
    answer.finally(cancel).then(resolve, reject);
  });
}

/**
 * In Patroni's form. It passes over `ttl`, by which a member of Regent's knows how long it counts.
 */
function failsafeBody({ name, connUrl, apiUrl, slots, ttlSeconds }: FailsafeQuestion): JsonObject {
  return { name, conn_url: connUrl, api_url: apiUrl, slots, ttl: ttlSeconds };
}
