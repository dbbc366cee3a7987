/** The requests that change something, by method and first segment of the path. */
import { headerText, NOTE_HEADER } from '../dialect/own-headers.ts';
import { refused, text } from './answer.ts';
import { patchConfigKey, postParameters, putConfigKey } from './config.ts';
import type { Route } from './context.ts';
import { postFailsafe } from './failsafe.ts';
import { postReinitialize } from './reinitialize.ts';
import { deleteRestart, postRestart } from './restart.ts';
import { deleteSwitch, postSwitch } from './switchover.ts';

export const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['PATCH config', { body: 'mandatory', handle: patchConfigKey }],
  ['PUT config', { body: 'mandatory', handle: putConfigKey }],
  ['POST parameters', { body: 'mandatory', handle: postParameters }],
  ['POST switchover', { body: 'mandatory', handle: (context, body, by) => postSwitch(context, 'switchover', body, by) }],
  ['POST failover', { body: 'mandatory', handle: (context, body, by) => postSwitch(context, 'failover', body, by) }],
  ['DELETE switchover', { body: 'none', handle: deleteSwitch }],
  ['POST restart', { body: 'optional', handle: postRestart }],
  ['DELETE restart', { body: 'none', handle: deleteRestart }],
  ['POST reinitialize', { body: 'optional', handle: postReinitialize }],
  [
    'POST reload',
    {
      body: 'none',
      handle: ({ operator }) => {
        const { refusal, waiting } = operator.reload();
        if (refusal !== null) return refused(202, 'reload scheduled', refusal);
        operator.wake('reload requested');
        const note = `not in force before the agent is restarted: ${waiting.join(', ')}`;
        return { ...text(202, 'reload scheduled'), ...(waiting.length > 0 && { headers: { [NOTE_HEADER]: headerText(note) } }) };
      },
    },
  ],
  // Patroni's has an effect only in its tests on Windows.
  ['POST sigterm', { body: 'none', handle: () => text(202, 'shutdown scheduled') }],
  ['POST failsafe', { body: 'mandatory', handle: postFailsafe }],
]);
