/**
 * When a callback counts as started. What running ones do to each other:
 * test/integration/postgres.test.ts.
 */
import { expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { Callbacks } from './callbacks.ts';

const callbacks = (on_start: string) => {
  const server = { settings: someSettings({ postgresql: { callbacks: { on_start } } }), runAs: null, log: keptLog() };
  return new Callbacks(server);
};

test('counts as started once its process runs, however it ends', async () => {
  await callbacks('sh -c "exit 3"').run('on_start', 'primary');
  await callbacks('sh -c "exit 3"').run('on_stop', 'primary');
});

test.each(['/no/such/script', '/etc/passwd', '/tmp'])('does not where %s cannot be run, which is logged', async (file) => {
  await expect(callbacks(file).run('on_start', 'primary')).rejects.toMatchObject({
    code: 'CALLBACK_NOT_STARTED',
    message: expect.stringContaining('on_start for role primary could not be started: spawn'),
  });
});
