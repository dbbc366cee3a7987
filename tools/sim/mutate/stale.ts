import { RegentError } from '../../../src/support/errors.ts';
import type { Place } from '../../../test/sim/zoo/edit.ts';

const placed = (place: Place): string => ('rule' in place ? `the rule or row ${place.rule}` : `${place.name} in ${place.file}`);

/** The source has moved on, and a mutant has not. */
export const stale = (place: Place, what: string, cause?: unknown): RegentError =>
  new RegentError('MUTANT_STALE', `${placed(place)}: ${what}`, {
    cause,
    mend: 'see what became of it, and change the mutant in test/sim/zoo/ with it',
  });
