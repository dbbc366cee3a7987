/**
 * Keeps `members/<name>` true: writes it when it differs from what was written last, or is on
 * another lease.
 */
import { memberOf } from '../core/cluster.ts';
import type { Observation } from '../core/model.ts';
import { memberRecord } from '../dialect/member-record.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Log } from '../ports/log.ts';
import type { SettingsSource } from '../ports/settings.ts';
import { stringifyCompact } from '../support/big-json.ts';
import { ensureError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import type { AgentView } from './agent-view.ts';
import type { AuthorityView } from './authority-cell.ts';
import { MIN_WRITE_MS } from './lease.ts';
import { type StatusPorts, statusOf } from './status.ts';

export interface MemberKeyPorts extends StatusPorts {
  readonly settings: Pick<SettingsSource, 'current' | 'local'>;
  readonly dcs: Pick<Dcs, 'putMember'>;
  readonly log: Pick<Log, 'debug' | 'masked' | 'warning'>;
}

export class MemberKey {
  readonly #ports: MemberKeyPorts;
  readonly #authority: AuthorityView;
  /** Why it could not be written last time. */
  #failure = '';
  #written: { readonly text: string; readonly leaseId: string } | null = null;

  constructor(ports: MemberKeyPorts, authority: AuthorityView) {
    this.#ports = ports;
    this.#authority = authority;
  }

  /** Never throws: a member key that could not be written is written in the next round. */
  async publish(agent: AgentView, observation: Observation): Promise<void> {
    const { leaseId } = this.#authority.now.lease;
    if (!observation.dcs.known || leaseId === null) return;
    const { settings, dcs, log } = this.#ports;
    const record: JsonObject = memberRecord(statusOf(this.#ports, agent), settings.current());
    const text = stringifyCompact(record);
    const me = settings.local().name;
    const stored = memberOf(observation.dcs.view, me);
    if (this.#written?.text === text && this.#written.leaseId === leaseId && stored?.leaseId === leaseId) return;
    try {
      await dcs.putMember(me, record, leaseId, {
        timeoutMs: this.#authority.patienceMs(settings.current().dynamic.retryTimeoutSeconds * 1000, MIN_WRITE_MS),
      });
      this.#written = { text, leaseId };
      this.#failure = '';
    } catch (error) {
      this.#written = null;
      const { message } = ensureError(error);
      log[message === this.#failure ? 'debug' : 'warning'](`the member key could not be written: ${message}`);
      this.#failure = message;
    }
  }
}
