/**
 * Peers over HTTP(S): one GET of api_url each, all at once, on connections kept open between
 * rounds.
 */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import type { Member } from '../../core/cluster.ts';
import type { CtlSettings, RestSettings } from '../../core/settings.ts';
import { readPeerBody } from '../../dialect/peer-body.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { PeerStatus, Peers } from '../../ports/peers.ts';
import { parseJson } from '../../support/big-json.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { exchange, HttpFailure, type TlsOptions } from '../../support/http.ts';
import { DIALECT_VERSION } from '../../version.ts';

export interface PeersOptions {
  /** The settings in force; asked for again at every renew(). */
  readonly settings: () => { readonly ctl: CtlSettings; readonly restapi: RestSettings };
  readonly log: Log;
  readonly clock: Clock;
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

/** Throws PEERS_TLS when a configured certificate cannot be read. */
export function createPeers(options: PeersOptions): HttpPeers {
  const plain: Connections = { kept: new Agent({ keepAlive: true }), fresh: () => new Agent() };
  let tls = tlsOptions(options.settings());
  let secure = secureConnections(tls);
  const ask = async (member: Member, timeoutMs: number): Promise<PeerStatus | null> => {
    try {
      const url = new URL(member.apiUrl ?? '');
      const status = readPeerBody(
        member.name,
        parseJson(await fetchText(url, url.protocol === 'https:' ? secure : plain, timeoutMs, options.clock)),
      );
      if (status === null) options.log.debug(`${member.name} answers, but says nothing of its WAL position`);
      return status;
    } catch (error) {
      options.log.debug(`${member.name} cannot be asked: ${ensureError(error).message}`);
      return null;
    }
  };
  return {
    async ask(members, { timeoutMs }) {
      const answers = await Promise.all(members.map((member) => ask(member, timeoutMs)));
      return new Map(answers.filter((answer) => answer !== null).map((answer) => [answer.name, answer]));
    },
    renew() {
      try {
        const renewed = tlsOptions(options.settings());
        if (isDeepStrictEqual(renewed, tls)) return;
        tls = renewed;
        // Requests under way keep the connections of before; a peer closes those that nobody uses.
        secure = secureConnections(tls);
      } catch (error) {
        options.log.error(`the other members are asked with the certificates from before: ${ensureError(error).message}`);
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

/**
 * Patroni's rule between daemons: with a client certificate the peer must have one of our
 * authority, whatever host it names; without, any will do.
 */
function tlsOptions({ ctl, restapi }: ReturnType<PeersOptions['settings']>): TlsOptions {
  if (ctl.certfile === null) return { rejectUnauthorized: false };
  const cafile = ctl.cacert ?? restapi.cafile;
  return {
    cert: pem('ctl.certfile', ctl.certfile),
    key: pem('ctl.keyfile', ctl.keyfile ?? ctl.certfile),
    ...(ctl.keyfilePassword !== null && { passphrase: ctl.keyfilePassword }),
    ...(cafile !== null && { ca: pem('ctl.cacert', cafile) }),
    rejectUnauthorized: true,
    checkServerIdentity: anyHost,
  };
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
async function fetchText(url: URL, { kept, fresh }: Connections, timeoutMs: number, clock: Clock): Promise<string> {
  const deadline = clock.monotonicMs() + timeoutMs;
  try {
    return await fetchOnce(url, kept, timeoutMs);
  } catch (error) {
    if (!(error instanceof HttpFailure && error.stale)) throw error;
    return await fetchOnce(url, fresh(), Math.max(1, deadline - clock.monotonicMs()));
  }
}

async function fetchOnce(url: URL, agent: Agent, timeoutMs: number): Promise<string> {
  const headers = { 'User-Agent': `Patroni/${DIALECT_VERSION} (Regent)` };
  return (await exchange(url, { agent, headers }, { timeoutMs, maxBytes: MAX_BODY_BYTES })).text;
}
