/** A reload that leaves the REST API without any address. */
import { renameSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { restSettings } from '../../test/fixtures/agent.ts';
import { type Certificate, CertificateWorkshop } from '../../test/fixtures/certificates.ts';
import { call } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import { type RestServer, startRestServer } from './server.ts';

const workshop = new CertificateWorkshop();
const log = keptLog();
let server: RestServer;
afterEach(async () => {
  await server.close();
  workshop.remove();
});

const start = ({ cert, key }: Certificate) =>
  startRestServer({
    operator: new MemoryOperatorPort(),
    settings: restSettings({ certfile: cert, keyfile: key }),
    log,
    clock: realClock,
    peers: somePeers({}),
    validateConfig: () => [],
  });

test('listens again on its own once it can, and takes a better reload at once', async () => {
  const pair = workshop.issue('pg-1');
  const { cert } = pair;
  server = await start(pair);
  const answers = async () =>
    (await call(`https://127.0.0.1:${server.port}/liveness`, 'GET', undefined, { rejectUnauthorized: false })).status;
  const impossible = () => restSettings({ listenHost: '192.0.2.1', listenPort: server.port });
  renameSync(cert, `${cert}.gone`);
  await server.reconfigure(impossible());
  expect(log.lines.join('\n')).toContain('REST API listens nowhere, and tries its old settings every second');
  await expect(answers()).rejects.toThrow('ECONNREFUSED');
  renameSync(`${cert}.gone`, cert);
  await expect.poll(() => answers().catch(() => null), { timeout: 20_000 }).toBe(200);
  renameSync(cert, `${cert}.gone`);
  await server.reconfigure(impossible());
  await server.reconfigure(restSettings());
  expect((await call(`http://127.0.0.1:${server.port}/liveness`)).status).toBe(200);
});
