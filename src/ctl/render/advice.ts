/** The output of `advise`, for people and for programs. */
import type { FaultAdvice } from '../../core/advice/faults.ts';
import type { Improvement } from '../../core/advice/improvements.ts';
import { MEASURED } from '../../core/advice/measured.ts';
import { outageText } from '../../core/advice/outage.ts';
import type { SettingCost } from '../../core/advice/setting-costs.ts';
import type { JsonObject } from '../../support/json.ts';
import { renderTable } from './table.ts';

export interface Advice {
  readonly cluster: string;
  /** What is in force, in short. */
  readonly lines: readonly string[];
  /** Nobody leads: why, and what helps. Then faults and improvements are empty. */
  readonly leaderless: readonly string[];
  readonly fence: JsonObject;
  readonly faults: readonly FaultAdvice[];
  readonly settings: readonly SettingCost[];
  readonly improvements: readonly (Omit<Improvement, 'command'> & { readonly command: string | null })[];
}

const WHY_WIDTH = 56;
const LOSS_WIDTH = 30;

const NOTES = [
  ' Times follow from the settings; with a *, also from docs/benchmarks.md. How long a promotion takes depends on',
  ` the WAL left to replay: a switchover, which includes one, took ${MEASURED.switchover.withRouter} s there. Commits of sessions that have`,
  ' synchronous_commit below "on" are never covered, nor are faults that come together.',
];

export function advicePretty({ cluster, lines, leaderless, faults, settings, improvements }: Advice): string {
  const faultRows = faults.map(({ fault, outage, loss, because, source }) => [
    fault,
    `${outageText(outage)}${source === 'settings' ? '' : ' *'}`,
    wrapped(loss, LOSS_WIDTH),
    wrapped(because, WHY_WIDTH),
  ]);
  const columns = ['Fault', 'No writes for (RTO)', 'Commits lost (RPO)', 'Because'].map((name) => ({ name }));
  const settingColumns = ['Setting', 'Value', 'What it costs'].map((name) => ({ name }));
  const settingRows = settings.map(({ setting, value, cost }) => [setting, value, cost]);
  return [
    ...[...lines, ...leaderless].map((line) => ` ${line}`),
    ...(faultRows.length === 0 ? [] : [renderTable(columns, faultRows, ` Cluster: ${cluster} `), ...NOTES]),
    renderTable(settingColumns, settingRows, ' Settings '),
    ...(leaderless.length === 0 ? improvementLines(improvements) : []),
  ].join('\n');
}

const improvementLines = (improvements: Advice['improvements']): readonly string[] => [
  improvements.length === 0 ? ' Nothing would make failovers quicker or safer.' : ' What would improve this, the most useful first:',
  ...improvements.flatMap(({ gain, cost, command }, index) => [
    `  ${index + 1}. ${gain}`,
    `     costs: ${cost}`,
    ...(command === null ? [] : [`     ${command}`]),
  ]),
];

export function adviceObject({ cluster, leaderless, fence, faults, settings, improvements }: Advice): JsonObject {
  return {
    scope: cluster,
    ...fence,
    ...(leaderless.length === 0 ? {} : { no_leader: [...leaderless] }),
    faults: faults.map(({ id, fault, outage, loss, source, because }) => ({
      fault,
      outage: outageText(outage),
      outage_from_seconds: outage.fromSeconds,
      outage_to_seconds: outage.toSeconds,
      promotion_on_top: outage.thenPromotion,
      commits_lost: loss,
      because,
      source,
      rule: id,
    })),
    settings: settings.map((each) => ({ ...each })),
    improvements: improvements.map(({ id, gain, cost, command }) => ({ gain, cost, command, rule: id })),
  };
}

/** At blanks, so that no line is longer unless a word is. */
function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line === undefined || line.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join('\n');
}
