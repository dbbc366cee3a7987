/** The zoo's table in docs/simulator.md. */
import { type Measure, medianSeeds } from './zoo.ts';

const BEGIN = '<!-- zoo: drawn by regent sim --zoo -->';
const END = '<!-- end of the zoo -->';

/**
 * One mutant, measured on seeds as they are drawn for everybody, and under the circumstances it
 * names.
 */
export interface Measured {
  readonly ordinary: Measure;
  readonly focused: Measure;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

const first = ({ sightings, tried }: Measure): string => (sightings[0] === undefined ? `> ${tried}` : String(sightings[0].at));

function row({ ordinary, focused }: Measured): string {
  const { id, broken, offends } = ordinary.mutant;
  const kinds = [...new Set([...ordinary.sightings, ...focused.sightings].map((sighting) => sighting.kind))].join(', ');
  const median = ordinary.sightings.length > 1 ? String(medianSeeds(ordinary)) : '';
  const cells = [`\`${id}\``, broken, offends.join(' '), kinds === '' ? 'not noticed' : kinds, first(focused), first(ordinary), median];
  return `| ${cells.map(cell).join(' | ')} |`;
}

export function zooTable(measured: readonly Measured[]): string {
  return [
    '| mutant | what is broken | offends | noticed as | seeds under its focus | ordinary seeds | median |',
    '|---|---|---|---|--:|--:|--:|',
    ...measured.map(row),
  ].join('\n');
}

/** The document with the table in the place between its two marks; null: it has no such place. */
export function withTable(document: string, table: string): string | null {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) return null;
  return `${document.slice(0, begin + BEGIN.length)}\n${table}\n${document.slice(end)}`;
}
