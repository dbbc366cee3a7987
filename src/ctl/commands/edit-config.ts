import { readFileSync } from 'node:fs';
import { outOfRangeProblems, validateDynamicPatch } from '../../config/dynamic.ts';
import { patchMerge } from '../../config/merge.ts';
import { type ConfigProblem, formatProblem } from '../../config/problems.ts';
import type { ClusterView } from '../../core/cluster.ts';
import { ensureError, onlyOutage } from '../../support/errors.ts';
import type { JsonObject } from '../../support/json.ts';
import { applyPairs, parameterPairs } from '../config-changes.ts';
import { untilConfigIsRead } from '../config-read.ts';
import { type Ctx, DCS_TIMEOUT_MS } from '../context.ts';
import { unifiedDiff } from '../diff.ts';
import { type Draft, withDraft } from '../draft.ts';
import { pageText } from '../editor.ts';
import { CtlError, refuse } from '../errors.ts';
import { refuseFor } from '../members.ts';
import { refusedParameters } from '../refused-parameters.ts';
import { standbyWarnings, wayBack } from '../standby-warnings.ts';
import { warn } from '../warn.ts';
import { toYaml, yamlMapping } from '../yaml.ts';

export interface EditOptions {
  readonly quiet?: boolean;
  readonly set?: readonly string[];
  readonly pg?: readonly string[];
  readonly apply?: string;
  readonly replace?: string;
  readonly force?: boolean;
}

const STDIN = '-';

export async function run(ctx: Ctx, [name]: readonly string[], options: EditOptions): Promise<void> {
  const cluster = await ctx.cluster(name);
  // Read once: an edit that goes on after a refusal began with this, and must not take back what
  // somebody else has changed meanwhile.
  const view = await ctx.read(cluster);
  if (pairsOf(options).length > 0 || options.replace !== undefined || options.apply !== undefined)
    return change(ctx, cluster, view, options, null);
  return withDraft(ctx, cluster, (draft) => change(ctx, cluster, view, options, draft));
}

async function change(ctx: Ctx, cluster: string, view: ClusterView, options: EditOptions, draft: Draft | null): Promise<void> {
  const { config } = view;
  if (!config) throw await refuseFor(ctx, view, cluster, `The config key does not exist in the cluster ${cluster}`);
  const before = toYaml(config.data);
  const after = await changed(ctx, config.data, options, draft === null ? null : () => draft.edit(before));
  const text = toYaml(after);
  if (text === before) {
    if (!options.quiet) ctx.print('Not changed');
    return;
  }
  if (!options.quiet) await showDiff(ctx, unifiedDiff(before, text));
  const wrong = mistakes(after, config.data);
  const errors = wrong.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw refuse(errors.map(formatProblem).join('\n'), 'Nothing was changed.');
  for (const warning of wrong) warn(ctx, formatProblem(warning));
  const { refused, overruled, unasked } = await refusedParameters(ctx, view, after, config.data);
  if (refused.length > 0 && !options.force) throw refuse(refused.join('\n'), 'Nothing was changed. Use --force to store it anyway.');
  for (const line of refused) warn(ctx, `${line}; it is stored anyway, and members ignore it or use the nearest valid value`);
  for (const line of overruled) warn(ctx, line);
  if (unasked !== null) warn(ctx, `no PostgreSQL could be asked whether it accepts the parameters: ${unasked}`);
  const change = { before: config.data['standby_cluster'], after: after['standby_cluster'] };
  const ofStandby = await standbyWarnings(ctx, view, change);
  for (const line of ofStandby) warn(ctx, line);
  if (!options.force) {
    if (options.apply === STDIN || options.replace === STDIN) {
      ctx.print('Use --force option to apply changes');
      return;
    }
    if (!(await ctx.prompter.confirm('Apply these changes?'))) return;
  }
  const revision = await (await ctx.dcs(cluster)).writeConfig(after, config, { timeoutMs: DCS_TIMEOUT_MS });
  if (revision === null) throw new CtlError('CTL_CONFLICT', 'Config modification aborted due to concurrent changes');
  ctx.print('Configuration changed');
  const back = ofStandby.length === 0 ? null : wayBack(ctx, cluster, after);
  if (back !== null) ctx.io.stderr.write(`${back}\n`);
  // It is changed, whatever becomes of the look at the members.
  await untilConfigIsRead(ctx, cluster).catch((error: unknown) => {
    onlyOutage(error);
    warn(ctx, `whether the members have applied it is not known: ${ensureError(error).message}`);
  });
}

/**
 * The problems that the change itself causes, as PATCH /config judges them. An older mistake
 * elsewhere must not block the change. Instead of a value that is an error, members would use a
 * default. They only log warnings, and the operator who made the change does not read those logs.
 */
function mistakes(after: JsonObject, before: JsonObject): readonly ConfigProblem[] {
  const all = (config: JsonObject) => {
    const outOfRange = outOfRangeProblems(config);
    // The message about a refused value need not say what would be used instead.
    const others = validateDynamicPatch(config).filter(({ path }) => !outOfRange.some((one) => one.path === path));
    return [...outOfRange, ...others];
  };
  const known = new Set(all(before).map(formatProblem));
  return all(after).filter((problem) => !known.has(formatProblem(problem)));
}

/** In this order: replace, apply, -s, -p. The editor, if none of them was given. */
async function changed(ctx: Ctx, data: JsonObject, options: EditOptions, edit: (() => Promise<string>) | null): Promise<JsonObject> {
  if (edit !== null) return mapping(await edit(), 'the edited configuration');
  let result = data;
  if (options.replace !== undefined) result = patchMerge({}, await readMapping(ctx, options.replace));
  if (options.apply !== undefined) result = patchMerge(result, await readMapping(ctx, options.apply));
  return applyPairs(result, pairsOf(options));
}

const pairsOf = (options: EditOptions) => [...(options.set ?? []), ...parameterPairs(options.pg ?? [])];

async function readMapping(ctx: Ctx, path: string): Promise<JsonObject> {
  if (path === STDIN) {
    let text = '';
    for await (const chunk of ctx.io.stdin) text += String(chunk);
    return mapping(text, 'standard input');
  }
  try {
    return mapping(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof CtlError) throw error;
    throw refuse(`cannot read ${path}: ${ensureError(error).message}`);
  }
}

/**
 * An empty file is usually a mistake: it would set the whole cluster back to its defaults at once.
 */
function mapping(text: string, name: string): JsonObject {
  const value = yamlMapping(text, name);
  if (value === null) throw refuse(`${name} is empty, not a mapping`, 'Write {} to remove every setting.');
  return value;
}

async function showDiff(ctx: Ctx, lines: readonly string[]): Promise<void> {
  if (ctx.io.stdout.isTTY) await pageText(ctx.io, `${(wantsColour(ctx) ? lines.map(coloured) : lines).join('\n')}\n`);
  else for (const line of lines) ctx.print(line);
}

/** https://no-color.org: any value counts, except an empty one. */
const wantsColour = ({ io }: Ctx) => !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb';

const COLOURS: Readonly<Record<string, number>> = { '-': 31, '+': 32, '@': 36 };

function coloured(line: string): string {
  const colour = COLOURS[line[0] ?? ''];
  return colour === undefined ? line : `\u001b[${colour}m${line}\u001b[0m`;
}
