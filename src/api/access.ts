/**
 * Checks whether a caller may change something: the allowlist, then the client certificate, then
 * the password. The first refusal is the answer.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import { unbracketed } from '../config/hostport.ts';
import type { ClusterView } from '../core/cluster.ts';
import type { RestSettings } from '../core/settings.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { type Answer, text } from './answer.ts';
import { resolveAll } from './resolve.ts';

export interface AccessRules {
  /**
   * Null: allowed. membersCount: if the settings say so, the address of a member's REST API counts
   * as listed.
   */
  check(request: IncomingMessage, view: ClusterView | null, membersCount: boolean): Promise<Answer | null>;
}

/** Resolves the names of the allowlist once. A reload resolves them again. */
export async function accessRules(settings: RestSettings, log: Log, clock: Clock): Promise<AccessRules> {
  const listed = await listedAddresses(settings.allowlist, log, clock);
  const restricted = settings.allowlist.length > 0 || settings.allowlistIncludeMembers;
  return {
    async check(request, view, membersCount) {
      if (restricted) {
        const address = clientAddress(request);
        const allowed =
          contains(listed, address) || (settings.allowlistIncludeMembers && membersCount && (await isMember(address, view, clock)));
        if (!allowed) return text(403, 'Access is denied');
      }
      if (settings.verifyClient !== 'none' && request.socket instanceof TLSSocket && !request.socket.authorized) {
        return text(403, 'client certificate required');
      }
      return checkPassword(request, settings.authentication);
    },
  };
}

function checkPassword(request: IncomingMessage, authentication: RestSettings['authentication']): Answer | null {
  if (authentication === null) return null;
  const given = request.headers.authorization;
  if (given === undefined) return unauthorized('no auth header received');
  const wanted = Buffer.from(`${authentication.username}:${authentication.password}`, 'utf8').toString('base64');
  return sameSecret(given.replace(/^basic\s+/i, ''), wanted) ? null : unauthorized('not authenticated');
}

/** Digests have one length, so that the time taken does not show their content or length. */
function sameSecret(a: string, b: string): boolean {
  const digest = (secret: string) => createHash('sha256').update(secret, 'utf8').digest();
  return timingSafeEqual(digest(a), digest(b));
}

function unauthorized(message: string): Answer {
  return { ...text(401, message), headers: { 'WWW-Authenticate': 'Basic realm="Patroni"' } };
}

async function listedAddresses(entries: readonly string[], log: Log, clock: Clock): Promise<BlockList> {
  const list = new BlockList();
  const names: string[] = [];
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/', 2);
    if (isIP(address) === 0 && bits === undefined) names.push(entry);
    else if (!addNetwork(list, address, bits)) log.warning(`restapi.allowlist: '${entry}' is not an address, a network or a name; ignored`);
  }
  const { addresses, failed } = await resolveAll(names, clock);
  for (const address of addresses) addNetwork(list, address, undefined);
  for (const name of failed) log.warning(`restapi.allowlist: '${name}' does not resolve; ignored until the next reload`);
  return list;
}

function addNetwork(list: BlockList, address: string, bits: string | undefined): boolean {
  const version = isIP(address);
  const longest = version === 6 ? 128 : 32;
  const prefix = bits === undefined ? longest : Number(bits);
  if (version === 0 || bits === '' || !Number.isInteger(prefix) || prefix < 0 || prefix > longest) return false;
  list.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
  return true;
}

function contains(list: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
}

async function isMember(address: string, view: ClusterView | null, clock: Clock): Promise<boolean> {
  const hosts = (view?.members ?? []).flatMap((member) => {
    try {
      return member.apiUrl === null ? [] : [unbracketed(new URL(member.apiUrl).hostname)];
    } catch {
      return [];
    }
  });
  const { addresses } = await resolveAll([...new Set(hosts)], clock);
  return addresses.includes(address);
}

/**
 * An IPv4 client of a dual-stack listener appears as ::ffff:a.b.c.d. A link-local address includes
 * its interface.
 */
function clientAddress(request: IncomingMessage): string {
  const address = (request.socket.remoteAddress ?? '').replace(/%.*$/, '');
  return /^::ffff:\d+\./i.test(address) ? address.slice('::ffff:'.length) : address;
}
