/**
 * The JSON gateway of one member of etcd: /v3 as etcd 3.5 answers it, as far as the client asks.
 * What it does not know it does not pass over: that fails the run.
 */
import type { Exchange } from '../../../src/adapters/etcd/transport.ts';
import { type Change, type Etcd, type EtcdMember, MEMBERS, PREFIX, type Stored } from '../etcd.ts';

type Json = Readonly<Record<string, unknown>>;

interface Compare {
  readonly key: string;
  readonly range_end?: string;
  readonly target: 'CREATE' | 'MOD' | 'VALUE' | 'LEASE';
  readonly result?: 'EQUAL' | 'LESS';
  readonly create_revision?: string;
  readonly mod_revision?: string;
  readonly value?: string;
  readonly lease?: string;
}

interface Range {
  readonly key: string;
  readonly range_end?: string;
  readonly count_only?: boolean;
  readonly keys_only?: boolean;
  readonly sort_order?: string;
  readonly sort_target?: string;
  readonly limit?: string;
}

interface Put {
  readonly key: string;
  readonly value?: string;
  readonly lease?: string;
}

interface Operation {
  readonly request_put?: Put;
  readonly request_delete_range?: Range;
  readonly request_range?: Range;
}

/**
 * Where no member was told what it advertises, one says etcd's default. Each client takes it for
 * itself.
 */
export const ADVERTISED_BY_MISTAKE = 'http://localhost:2379';
/** As a stream says it. */
export const NO_LEADER_LINE = '{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}\n';
export const urlOf = (member: EtcdMember): string => `http://${member}:2379`;

const NO_LEADER = fault(503, 14, 'etcdserver: no leader');
const NO_SPACE = fault(429, 8, 'etcdserver: mvcc: database space exceeded');
const NO_LEASE = fault(404, 5, 'etcdserver: requested lease not found');

/** Null: it says nothing. */
export function answerOf(etcd: Etcd, member: EtcdMember, path: string, body: string): Exchange | null {
  if (!etcd.stands(member)) return null;
  if (path === '/maintenance/status') return status(etcd, member);
  if (etcd.serves(member)) return serve(etcd, member, path, body);
  if (path === '/lease/keepalive' && etcd.outdated(member)) return serve(etcd, member, path, body);
  return etcd.knowsNoLeader(member) ? NO_LEADER : null;
}

/** The header of a member's answers. */
export function headerOf(etcd: Etcd, member: EtcdMember): string {
  const { revision, term } = etcd.standing(member);
  return `{"cluster_id":"${etcd.clusterId}","member_id":"${idOf(member)}","revision":"${revision}","raft_term":"${term}"}`;
}

const idOf = (member: EtcdMember): string => String(9_000_000_000_000_000_001n + BigInt(MEMBERS.indexOf(member)));

function status(etcd: Etcd, member: EtcdMember): Exchange {
  const leader = etcd.knowsNoLeader(member) ? {} : { leader: idOf(etcd.leader) };
  return answer(etcd, member, members({ version: '3.5.21', ...leader }));
}

function serve(etcd: Etcd, member: EtcdMember, path: string, text: string): Exchange {
  const body = JSON.parse(text) as Json;
  switch (path) {
    case '/kv/range':
      return answer(etcd, member, rangeText(etcd, body as unknown as Range));
    case '/kv/txn':
      return transaction(etcd, member, body as unknown as Record<'success' | 'failure', Operation[]> & { compare: Compare[] });
    case '/lease/grant':
      if (etcd.full) return NO_SPACE;
      return answer(etcd, member, members({ ID: etcd.grant(Number(body['TTL'])), TTL: body['TTL'] }));
    case '/lease/keepalive':
      return keepAlive(etcd, member, String(body['ID']));
    case '/lease/revoke':
      return etcd.revoke(String(body['ID'])) ? answer(etcd, member, '') : NO_LEASE;
    case '/cluster/member/list':
      return answer(etcd, member, members({ members: MEMBERS.map((one) => ({ ID: idOf(one), name: one, clientURLs: advertised(one) })) }));
    default:
      throw new Error(`the model of etcd does not know ${path}`);
  }
}

const advertised = (member: EtcdMember): string[] => [urlOf(member), ...(member === MEMBERS[2] ? [ADVERTISED_BY_MISTAKE] : [])];

/**
 * A lease that is gone has a time to live of zero, and zeros are left out. An outdated leader
 * renews what it knows, and nobody else hears of it.
 */
function keepAlive(etcd: Etcd, member: EtcdMember, leaseId: string): Exchange {
  const seconds = etcd.serves(member) ? etcd.keepAlive(leaseId) : (etcd.leases.get(leaseId)?.ttlSeconds ?? 0);
  const left = seconds === 0 ? '' : `,"TTL":"${seconds}"`;
  return { status: 200, text: `{"result":{"header":${headerOf(etcd, member)},"ID":"${leaseId}"${left}}}` };
}

function transaction(
  etcd: Etcd,
  member: EtcdMember,
  { compare, success, failure }: Record<'success' | 'failure', Operation[]> & { compare: Compare[] },
): Exchange {
  // Whichever branch it would be.
  if (etcd.full && [...success, ...failure].some((operation) => operation.request_put !== undefined)) return NO_SPACE;
  const succeeded = compare.every((one) => holds(etcd, one));
  const operations = succeeded ? success : failure;
  for (const { request_put: put } of operations) if (put?.lease !== undefined && !etcd.leases.has(put.lease)) return NO_LEASE;
  const responses = operations.map((operation) => responseOf(etcd, operation));
  etcd.apply(responses.flatMap(({ changes }) => changes));
  const texts = responses.map(({ text }) => text);
  return answer(etcd, member, `${succeeded ? ',"succeeded":true' : ''},"responses":[${texts.join(',')}]`);
}

function responseOf(
  etcd: Etcd,
  { request_put: put, request_delete_range: remove, request_range: range }: Operation,
): { text: string; changes: Change[] } {
  if (put !== undefined) {
    const change = { key: nameOf(put.key), written: put.value ?? '', leaseId: put.lease ?? null };
    return { text: '{"response_put":{}}', changes: [change] };
  }
  if (remove !== undefined) {
    const changes = keysIn(etcd, remove).map(([key]) => ({ key, written: null }));
    return { text: `{"response_delete_range":{${changes.length === 0 ? '' : `"deleted":"${changes.length}"`}}}`, changes };
  }
  if (range !== undefined) return { text: `{"response_range":{${rangeText(etcd, range).slice(1)}}}`, changes: [] };
  throw new Error('the model of etcd does not know this operation');
}

function holds(etcd: Etcd, compare: Compare): boolean {
  const found = keysIn(etcd, compare).map(([, stored]) => stored);
  if (found.length > 0) return found.every((stored) => compares(compare, stored));
  // A key that is absent has every number 0, and no value that could be compared.
  return compare.target !== 'VALUE' && compares(compare, ABSENT);
}

const ABSENT = { written: '', leaseId: null, modRevision: 0n, createRevision: 0n };

function compares(compare: Compare, stored: Pick<Stored, keyof typeof ABSENT>): boolean {
  const { target, result = 'EQUAL' } = compare;
  if (target === 'VALUE' && result === 'EQUAL') return stored.written === (compare.value ?? '');
  if (target === 'LEASE' && result === 'EQUAL') return (stored.leaseId ?? '0') === (compare.lease ?? '0');
  if (target === 'CREATE' && result === 'EQUAL') return stored.createRevision === BigInt(compare.create_revision ?? '0');
  if (target !== 'MOD') throw new Error(`the model of etcd does not compare ${target} ${result}`);
  const wanted = BigInt(compare.mod_revision ?? '0');
  return result === 'LESS' ? stored.modRevision < wanted : stored.modRevision === wanted;
}

/** In the order of their names. */
function keysIn(etcd: Etcd, { key, range_end: end }: Pick<Range, 'key' | 'range_end'>): Array<[string, Stored]> {
  if (end === undefined) {
    const name = nameOf(key);
    const stored = etcd.get(name);
    return stored === null ? [] : [[name, stored]];
  }
  if (textOf(key) !== PREFIX) throw new Error('the model of etcd knows no range but the whole cluster');
  return [...etcd.keys].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The whole cluster is read again and again: its text is kept for as long as nothing changes. */
const whole = new WeakMap<Etcd, { readonly revision: bigint; readonly text: string }>();

/** Members of the answer, each behind a comma. */
function rangeText(etcd: Etcd, range: Range): string {
  const isWhole = range.range_end !== undefined && range.limit === undefined && range.count_only !== true && range.keys_only !== true;
  const known = whole.get(etcd);
  if (isWhole && known?.revision === etcd.revision) return known.text;
  const found = keysIn(etcd, range);
  if (found.length === 0) return '';
  const count = `,"count":"${found.length}"`;
  if (range.count_only === true) return count;
  if (range.sort_target === 'MOD') found.sort(([, a], [, b]) => Number(b.modRevision - a.modRevision));
  const kvs = found
    .slice(0, Number(range.limit ?? found.length))
    .map(([, stored]) => (range.keys_only === true ? `{${stored.wireKey}}` : stored.wire));
  const text = `,"kvs":[${kvs.join(',')}]${count}`;
  if (isWhole) whole.set(etcd, { revision: etcd.revision, text });
  return text;
}

const names = new Map<string, string>();

/** Below the cluster's prefix. */
function nameOf(key: string): string {
  const known = names.get(key);
  if (known !== undefined) return known;
  const text = textOf(key);
  if (!text.startsWith(PREFIX)) throw new Error(`not a key of the cluster: ${text}`);
  names.set(key, text.slice(PREFIX.length));
  return text.slice(PREFIX.length);
}

const textOf = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

const members = (fields: Json): string => `,${JSON.stringify(fields).slice(1, -1)}`;

function answer(etcd: Etcd, member: EtcdMember, more: string): Exchange {
  return { status: 200, text: `{"header":${headerOf(etcd, member)}${more}}` };
}

function fault(http: number, code: number, message: string): Exchange {
  return { status: http, text: JSON.stringify({ error: message, code, message }) };
}
