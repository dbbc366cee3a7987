/**
 * The REST server: what load balancers, operators, monitoring and the other agents see of this
 * agent.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { RestSettings } from '../core/settings.ts';
import type { Log } from '../ports/log.ts';
import { ensureError, RegentError } from '../support/errors.ts';
import { REGENT_VERSION } from '../version.ts';
import { type AccessRules, accessRules } from './access.ts';
import type { ApiContext } from './context.ts';
import { type Listener, openListener } from './listener.ts';
import { quickAnswers } from './quick-answer.ts';
import { replyToLine, respond } from './respond.ts';
import { asksForLink, type LinkDoor, openLink } from './upgrade.ts';

export interface RestServerOptions extends ApiContext {
  readonly settings: RestSettings;
  /** Takes the connections of other agents. Absent: nobody does. */
  readonly links?: LinkDoor;
}

export interface RestServer {
  /** The port it listens on; useful if port 0 was requested. */
  readonly port: number;
  /** Never throws: it logs what cannot be applied, and the server keeps its old settings. */
  reconfigure(settings: RestSettings): Promise<void>;
  /** Only reads the certificate files again. Never throws, like reconfigure(). */
  renewCertificates(): Promise<void>;
  close(): Promise<void>;
}

/** Throws REST_TLS or REST_LISTEN. */
export async function startRestServer(options: RestServerOptions): Promise<RestServer> {
  const { log, clock } = options;
  let rules: AccessRules = await accessRules(options.settings, log, clock);
  let headers = extraHeaders(options.settings, log);
  let current = options.settings;
  let closed = false;
  const quickly = quickAnswers(options);
  const open = (settings: RestSettings) =>
    openListener(
      settings,
      {
        onRequest: (request, response) => respond(options, rules, headers, request, response),
        quickAnswer: (packet) => quickly(packet, headers),
        replyToLine: (method, url) => replyToLine(options, method, url),
        onUpgrade: (request, socket, head) => {
          if (options.links === undefined || !asksForLink(request)) return false;
          void openLink(options, options.links, { rules, headers }, request, socket, head);
          return true;
        },
      },
      clock,
      log,
    );
  let listener: Listener = await open(current);
  log.info(`REST API listens on ${current.listenHost || '*'}:${listener.port}`);

  /**
   * If both listeners can be open at once, the new one opens first, so that a bad address leaves
   * the old one in service. `adopt` is called before the new one gets a request.
   */
  const replace = async (settings: RestSettings, adopt: () => void): Promise<void> => {
    const old = listener;
    if (settings.listenPort !== old.port) {
      listener = await open(settings);
      adopt();
      return old.close();
    }
    await old.close();
    try {
      listener = await open(settings);
    } catch (error) {
      listener = await open(current);
      throw error;
    }
    adopt();
  };
  /** All of the settings or none: who may change what must fit what is served. */
  const apply = async (settings: RestSettings): Promise<void> => {
    if (closed) return;
    const newRules = await accessRules(settings, log, clock);
    const newHeaders = extraHeaders(settings, log);
    const adopt = () => {
      rules = newRules;
      headers = newHeaders;
      current = settings;
    };
    if (!listener.fits(settings)) return replace(settings, adopt);
    await listener.renewCertificates(settings);
    adopt();
  };
  // One reload at a time, because two reloads must not both open a listener.
  let queue: Promise<void> = Promise.resolve();
  return {
    get port() {
      return listener.port;
    },
    reconfigure(settings) {
      queue = queue.then(() => apply(settings)).catch((error: unknown) => report(log, error));
      return queue;
    },
    renewCertificates() {
      queue = queue.then(() => (closed ? undefined : listener.renewCertificates(current))).catch((error: unknown) => report(log, error));
      return queue;
    },
    async close() {
      closed = true;
      await queue;
      await listener.close();
    },
  };
}

function report(log: Log, error: unknown): void {
  const mend = error instanceof RegentError ? error.mend : null;
  log.error(`REST API keeps its old settings: ${ensureError(error).message}`, { mend });
}

function extraHeaders(settings: RestSettings, log: Log): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { Server: settings.serverTokens === 'productonly' ? 'Regent' : `Regent/${REGENT_VERSION}` };
  const extra = { ...settings.httpExtraHeaders, ...(settings.certfile === null ? {} : settings.httpsExtraHeaders) };
  for (const [name, value] of Object.entries(extra)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
      headers[name] = value;
    } catch (error) {
      log.warning(`restapi: the extra header '${name}' is not valid and is not sent`, { error: ensureError(error).message });
    }
  }
  return headers;
}
