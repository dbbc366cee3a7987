/**
 * The listening socket: plain or TLS. It can be replaced, and its certificates renewed, while it
 * listens.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions, Server as TlsServer } from 'node:https';
import type { AddressInfo, ListenOptions } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext } from 'node:tls';
import type { RestSettings } from '../core/settings.ts';
import { type Clock, sleep } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { codeOf, ensureError, RegentError } from '../support/errors.ts';
import { postDoorman } from './doorman.ts';
import { passOver } from './pass-over.ts';
import { KEEP_ALIVE_SECONDS, type QuickAnswer } from './quick-answer.ts';
import { answerRefused, type CheckReply, MAX_HEADER_BYTES, refuseTunnel } from './refused-request.ts';

/**
 * An agent that starts right after another was killed may find the port still in use for a moment.
 */
const BIND_ATTEMPTS = 10;
const BIND_RETRY_MS = 200;
const HEADERS_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 15_000;
const KEEP_ALIVE_MS = KEEP_ALIVE_SECONDS * 1000;
/** How long answers in progress may take when the listener closes. */
const CLOSE_GRACE_MS = 500;
const CLOSE_LOOK_MS = 20;

export interface Listener {
  readonly port: number;
  /** Whether these settings need a new listener. */
  fits(settings: RestSettings): boolean;
  /**
   * Reads the certificate files again. Throws REST_TLS and keeps the old ones if the new ones
   * cannot be used.
   */
  renewCertificates(settings: RestSettings): Promise<void>;
  close(): Promise<void>;
}

export interface Handlers {
  readonly onRequest: RequestListener;
  /** To health checks in one packet; null: to be handled as a request. */
  readonly quickAnswer: (packet: Buffer) => QuickAnswer | null;
  /** For requests that are not valid HTTP. */
  readonly replyToLine: CheckReply;
  /** False: the request is read as if it offered no other protocol. True: the socket is taken. */
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
}

/**
 * Old configurations of HAProxy and F5 send checks as HTTP/1.1 without a Host header. Nothing here
 * needs one.
 */
const HTTP: ServerOptions = { requireHostHeader: false, maxHeaderSize: MAX_HEADER_BYTES };

/** Throws REST_TLS or REST_LISTEN. */
export async function openListener(settings: RestSettings, handlers: Handlers, clock: Clock, log: Log): Promise<Listener> {
  const { onRequest, quickAnswer, replyToLine, onUpgrade } = handlers;
  /** Their connections may outlive the listener. */
  const taken = new Set<Duplex>();
  const tls = await tlsOptions(settings);
  const server = tls === null ? createServer(HTTP, onRequest) : createTlsServer({ ...HTTP, ...tls }, onRequest);
  server.on('clientError', (error, socket) => void answerRefused(replyToLine, error, socket));
  server.on('upgrade', (request, socket, head) => {
    if (!onUpgrade(request, socket, head)) return passOver(server, request, socket, head);
    taken.add(socket);
    socket.once('close', () => taken.delete(socket));
  });
  server.on('connect', (_, socket) => refuseTunnel(socket));
  // An unknown `Expect` header is not a reason to answer 417.
  server.on('checkExpectation', onRequest);
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const doorman = postDoorman(server, { answerTo: quickAnswer, silenceMs: HEADERS_TIMEOUT_MS, keepAliveMs: KEEP_ALIVE_MS, clock });
  await bind(server, settings, clock);
  // Without this listener, a failed accept (for example, no free file descriptor) would end the
  // agent.
  server.on('error', (error) => log.error(`REST API: ${error.message}`));
  const shape = shapeOf(settings);
  return {
    port: (server.address() as AddressInfo).port,
    fits: (wanted) => shapeOf(wanted) === shape,
    async renewCertificates(wanted) {
      const renewed = await tlsOptions(wanted);
      if (renewed !== null && server instanceof TlsServer) server.setSecureContext(renewed);
    },
    close: () => {
      doorman.close();
      return closeServer(server, taken, clock);
    },
  };
}

function shapeOf(settings: RestSettings): string {
  return JSON.stringify([settings.listenHost, settings.listenPort, settings.certfile !== null, settings.verifyClient]);
}

/** Null: plain HTTP. The private key may be in the certificate's file. */
async function tlsOptions(settings: RestSettings): Promise<ServerOptions | null> {
  if (settings.certfile === null) return null;
  const [cert, key, ca] = await Promise.all([
    readPem('restapi.certfile', settings.certfile),
    readPem('restapi.keyfile', settings.keyfile ?? settings.certfile),
    settings.cafile === null ? null : readPem('restapi.cafile', settings.cafile),
  ]);
  const options: ServerOptions = {
    cert,
    key,
    ...(ca !== null && { ca }),
    ...(settings.keyfilePassword !== null && { passphrase: settings.keyfilePassword }),
    ...(settings.ciphers !== null && { ciphers: settings.ciphers }),
    requestCert: settings.verifyClient !== 'none',
    // 'optional': a client without a certificate may read. access.ts refuses everything else.
    rejectUnauthorized: settings.verifyClient === 'required',
  };
  try {
    createSecureContext(options);
  } catch (error) {
    throw new RegentError(
      'REST_TLS',
      `the certificate of the REST API cannot be used (${settings.certfile}): ${ensureError(error).message}`,
      {
        mend: 'Check restapi.certfile, keyfile, keyfile_password, cafile and ciphers: they must be PEM files, and the key must belong to the certificate.',
        cause: error,
      },
    );
  }
  return options;
}

async function readPem(setting: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new RegentError('REST_TLS', `${setting}: ${ensureError(error).message}`, {
      mend: 'Name a PEM file that the agent can read.',
      cause: error,
    });
  }
}

async function bind(server: Server, settings: RestSettings, clock: Clock): Promise<void> {
  const { listenPort } = settings;
  const host = settings.listenHost === '*' || settings.listenHost === '' ? undefined : settings.listenHost;
  for (let attempt = 1; ; attempt++) {
    try {
      return await bindOnce(server, host === undefined ? { port: listenPort } : { port: listenPort, host });
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE' || attempt === BIND_ATTEMPTS) {
        throw new RegentError('REST_LISTEN', `the REST API cannot listen on ${host ?? '*'}:${listenPort}: ${ensureError(error).message}`, {
          mend: 'Set restapi.listen to an address of this machine and a free port.',
          cause: error,
        });
      }
      await sleep(clock, BIND_RETRY_MS);
    }
  }
}

function bindOnce(server: Server, address: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const listening = () => {
      server.removeListener('error', failed);
      resolve();
    };
    const failed = (error: Error) => {
      server.removeListener('listening', listening);
      reject(error);
    };
    server.once('listening', listening);
    server.once('error', failed);
    server.listen(address);
  });
}

/** Resolves when the port is free and nobody waits for an answer. */
function closeServer(server: Server, taken: ReadonlySet<Duplex>, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.timer(CLOSE_GRACE_MS, () => server.closeAllConnections());
    let cancelLook = () => {};
    const done = () => {
      cancel();
      cancelLook();
      resolve();
    };
    // It calls back when the last connection has ended, those that were taken over included.
    server.close(done);
    server.closeIdleConnections();
    const look = () => {
      if (taken.size === 0) return;
      server.getConnections((_, count) => {
        if (count <= taken.size) done();
        else cancelLook = clock.timer(CLOSE_LOOK_MS, look);
      });
    };
    look();
  });
}
