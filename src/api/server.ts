/**
 * The REST server: what load balancers, operators, monitoring and the other agents see of this
 * agent.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { RestSettings } from '../core/settings.ts';
import type { Log } from '../ports/log.ts';
import { ensureError } from '../support/errors.ts';
import { REGENT_VERSION } from '../version.ts';
import { type AccessRules, accessRules } from './access.ts';
import type { ApiContext } from './context.ts';
import { openListener } from './listener.ts';
import { quickAnswers } from './quick-answer.ts';
import { replyToLine, respond } from './respond.ts';
import { RestPlace } from './rest-place.ts';
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
  const place = await RestPlace.open({ open, clock, log }, options.settings);
  return {
    get port() {
      return place.port;
    },
    reconfigure: (settings) =>
      place.change(settings, async () => {
        const newRules = await accessRules(settings, log, clock);
        const newHeaders = extraHeaders(settings, log);
        return () => {
          rules = newRules;
          headers = newHeaders;
        };
      }),
    renewCertificates: () => place.renewCertificates(),
    close: () => place.close(),
  };
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
