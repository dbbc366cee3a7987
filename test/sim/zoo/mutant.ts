/** An agent that is broken on purpose: the simulator has to notice. */
import type { Verdict } from '../plan.ts';
import type { Edit } from './edit.ts';
import type { Focus } from './focus.ts';

export interface Mutant {
  readonly id: string;
  /** What it does wrong, in one sentence. */
  readonly broken: string;
  /**
   * The promises of docs/SPEC.md it breaks, and the mechanisms of docs/scenarios.md (M1 to M27) by
   * which such a thing has happened elsewhere.
   */
  readonly offends: readonly string[];
  readonly edits: readonly Edit[];
  /** What the simulator may say of it. */
  readonly verdicts: readonly Verdict[];
  /**
   * Circumstances under which it shows soon, for the test that must be quick; nothing: it shows
   * soon anyway.
   */
  readonly focus?: Focus;
}
