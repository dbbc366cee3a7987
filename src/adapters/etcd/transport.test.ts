/** Certificates that are renewed, or spoiled, while the client works. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { type Certificate, CertificateWorkshop } from '../../../test/fixtures/certificates.ts';
import { createSystemClock } from '../clock/system.ts';
import { recordingLog, settingsOf } from './testing.ts';
import { HttpTransport } from './transport.ts';

let workshop: CertificateWorkshop;
let first: Certificate;
let second: Certificate;
beforeAll(() => {
  workshop = new CertificateWorkshop();
  first = workshop.issue('first', 'IP:127.0.0.1');
  second = workshop.issue('second', 'IP:127.0.0.1');
});
afterAll(() => workshop.remove());

let dir: string;
let server: Server;
let transport: HttpTransport;
/** Of each request: who asked. */
let seen: unknown[];
let unanswered: ServerResponse[];
const log = recordingLog();
const clock = createSystemClock();

const own = () => ({ cert: join(dir, 'own.crt'), key: join(dir, 'own.key') });
function put(pair: Certificate): void {
  copyFileSync(pair.cert, own().cert);
  copyFileSync(pair.key, own().key);
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'regent-etcd-tls-'));
  seen = [];
  unanswered = [];
  log.lines.length = 0;
  const serving = { cert: readFileSync(first.cert), key: readFileSync(first.key), ca: readFileSync(workshop.ca.cert) };
  server = createServer({ ...serving, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    seen.push((request.socket as TLSSocket).getPeerCertificate().subject.CN);
    if (request.url === '/late') unanswered.push(response);
    else response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  put(first);
  transport = new HttpTransport(settingsOf([], { ...own(), cacert: workshop.ca.cert }), clock, log);
});
afterEach(() => {
  transport.close();
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const ask = (path = '/') =>
  transport.exchange(`https://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, '{}', {}, AbortSignal.timeout(5000));
const connections = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));

it('new calls use the renewed certificate, a call under way ends in peace, and no connection of before is kept', async () => {
  await ask();
  const late = ask('/late');
  await vi.waitFor(() => expect(unanswered).toHaveLength(1));
  put(second);
  await ask();
  transport.reloadTls();
  await ask();
  expect(seen).toEqual(['first', 'first', 'first', 'second']);
  unanswered[0]!.end('{}');
  expect((await late).status).toBe(200);
  await vi.waitFor(async () => expect(await connections()).toBe(1));
  expect(log.lines).toEqual(['new connections to etcd use the renewed certificates']);
});

it.each<[string, () => void, RegExp]>([
  ['is gone', () => rmSync(own().cert), /etcd3\.cert: cannot read .*own\.crt \(ENOENT\)/],
  ['is none', () => writeFileSync(own().cert, 'spoiled'), /certificates for etcd cannot be used \(.*own\.crt.*\): .*no start line/],
  ['belongs to another key', () => copyFileSync(second.cert, own().cert), /\(.*own\.crt.*own\.key\): .*key values mismatch/],
])('a renewed file that %s leaves the old ones in use, is logged once, and is no trouble any more once mended', async (_, spoil, said) => {
  await ask();
  spoil();
  for (let i = 0; i < 3; i += 1) transport.reloadTls();
  await ask();
  expect(log.lines).toEqual([expect.stringMatching(said)]);
  expect(log.lines[0]).toMatch(/^etcd is asked with the certificates from before: /);
  put(second);
  transport.reloadTls();
  await ask();
  expect(seen).toEqual(['first', 'first', 'second']);
  rmSync(own().key);
  transport.reloadTls();
  expect(log.lines).toHaveLength(3);
});

it('files that cannot be used at the start are an error of the start', () => {
  copyFileSync(second.cert, own().cert);
  expect(() => new HttpTransport(settingsOf([], own()), clock, log)).toThrow(expect.objectContaining({ code: 'DCS_TLS_FILE' }));
});
