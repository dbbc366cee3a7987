/** What may be looked at of a running agent: enough to show it, and nothing that changes it. */
import type { AuthorityView } from './authority-cell.ts';
import type { Beats } from './beats.ts';
import type { Failsafe } from './failsafe.ts';
import type { JobSlot } from './job-slot.ts';
import type { Requests } from './requests.ts';
import type { RoundsView } from './rounds.ts';
import type { SettingsVersion } from './settings-version.ts';
import type { Tally } from './tally.ts';

export interface AgentView {
  readonly rounds: RoundsView;
  readonly authority: Pick<AuthorityView, 'now'>;
  readonly beats: Pick<Beats, 'facts' | 'isIsolated'>;
  readonly failsafe: Pick<Failsafe, 'map' | 'asked'>;
  readonly job: Pick<JobSlot, 'running' | 'isStopping' | 'isLeaving'>;
  readonly requests: Pick<Requests, 'scheduledRestart' | 'reinitialization'>;
  readonly settingsVersion: Pick<SettingsVersion, 'revisionInForce'>;
  readonly tally: Pick<Tally, 'counts'>;
}
