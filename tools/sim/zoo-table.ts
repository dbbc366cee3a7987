/** The zoo's table in docs/simulator.md. */
import { type Measure, medianSeeds } from './zoo.ts';

const BEGIN = '<!-- zoo: drawn by regent sim --zoo -->';
const END = '<!-- end of the zoo -->';

const cell = (text: string): string => text.replaceAll('|', '\\|');

function row(measured: Measure): string {
  const { mutant, sightings, tried } = measured;
  const kinds = [...new Set(sightings.map((sighting) => sighting.kind))].join(', ');
  const first = sightings[0]?.at;
  const cells = [
    `\`${mutant.id}\``,
    mutant.broken,
    mutant.offends.join(' '),
    kinds === '' ? 'not noticed' : kinds,
    first === undefined ? `more than ${tried}` : String(first),
    String(medianSeeds(measured) ?? ''),
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

export function zooTable(measured: readonly Measure[]): string {
  return ['| mutant | what is broken | offends | noticed as | first | median |', '|---|---|---|---|--:|--:|', ...measured.map(row)].join(
    '\n',
  );
}

/** The document with the table in the place between its two marks; null: it has no such place. */
export function withTable(document: string, table: string): string | null {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) return null;
  return `${document.slice(0, begin + BEGIN.length)}\n${table}\n${document.slice(end)}`;
}
