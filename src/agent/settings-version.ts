/**
 * Counts the changes of the settings, and knows which of them PostgreSQL's files were last written
 * with.
 */
import type { Observation } from '../core/model.ts';
import type { Settings } from '../core/settings.ts';
import type { Postgres } from '../ports/postgres.ts';
import type { SettingsSource } from '../ports/settings.ts';

interface SettingsVersionPorts {
  readonly settings: Pick<SettingsSource, 'current' | 'save'>;
  readonly pg: Pick<Postgres, 'configure'>;
}

export class SettingsVersion {
  readonly #ports: SettingsVersionPorts;
  readonly #wake: () => void;
  #current = 1;
  #applied = 0;
  /** Those of the last round; null before the first. */
  #seen: Settings | null = null;
  #revisionInForce: string | null = null;

  /** `wake`: another round is wanted, to apply what has changed. */
  constructor(ports: SettingsVersionPorts, wake: () => void) {
    this.#ports = ports;
    this.#wake = wake;
  }

  get current(): number {
    return this.#current;
  }

  /** PostgreSQL's files are not yet written with the settings of now. */
  get isDirty(): boolean {
    return this.#current !== this.#applied;
  }

  /** What PostgreSQL runs with; null while something is left to apply. */
  get inForce(): Settings | null {
    return this.isDirty ? null : this.#seen;
  }

  /**
   * The revision of the dynamic configuration that PostgreSQL fully runs with; null: there was none
   * yet.
   */
  get revisionInForce(): string | null {
    return this.#revisionInForce;
  }

  /** An operator's reload: the files may differ though no setting does. */
  changed(): void {
    this.#current += 1;
    this.#ports.pg.configure(this.#ports.settings.current());
  }

  /**
   * Takes note of a round's settings, and returns what that round goes by: the round that reads a
   * change is the one that writes the files. `inForce`: as it was when that round began.
   */
  note(
    { settings, dcs }: Pick<Observation, 'settings' | 'dcs'>,
    inForce: Settings | null,
  ): { readonly configDirty: boolean; readonly configVersion: number } {
    if (settings !== this.#seen) {
      // What was asked before etcd answered was asked by the old settings: the ttl of the lease.
      if (this.#seen !== null) this.#wake();
      this.#seen = settings;
      this.changed();
    }
    if (dcs.known && settings === inForce) this.#revisionInForce = dcs.view.config?.modRevision ?? null;
    return { configDirty: this.isDirty, configVersion: this.#current };
  }

  /** The files were written by the settings of this version. What changed since needs a round. */
  applied(version: number): void {
    if (this.#applied !== version && this.#applied > 0) this.#wake();
    this.#applied = version;
    this.#ports.settings.save();
  }
}
