import { parseInteger } from '../../config/values.ts';
import type { ClusterView } from '../../core/cluster.ts';
import type { Ctx } from '../context.ts';
import { collect } from '../health/collect.ts';
import { haproxyAccess } from '../health/haproxy.ts';
import { judge } from '../health/judge.ts';
import { EXIT_CODES, verdictOf } from '../health/report.ts';
import { healthJson, healthPretty } from '../render/health.ts';
import { type WatchOptions, watching } from '../watch.ts';

export interface HealthOptions extends WatchOptions {
  readonly format: 'pretty' | 'json';
  /** false: --no-haproxy. */
  readonly haproxy?: boolean;
  readonly haproxyUrl?: string;
  readonly maxLagBytes?: number;
  readonly maxLagSeconds: number;
}

/**
 * Patroni's default of maximum_lag_on_failover: a replica that is further behind cannot be
 * promoted.
 */
const DEFAULT_MAX_LAG_BYTES = 1_048_576;

export async function run(ctx: Ctx, [name]: readonly string[], options: HealthOptions): Promise<number> {
  const cluster = await ctx.cluster(name);
  const { haproxyUrl } = await ctx.config();
  const access = options.haproxy === false ? null : haproxyAccess(options.haproxyUrl, haproxyUrl, ctx.io.env);
  let exitCode: number = EXIT_CODES.ok;
  await watching(ctx, options, true, async () => {
    const { report, view } = await collect(ctx, cluster, access);
    const problems = judge(report, { maxLagBytes: options.maxLagBytes ?? configuredLag(view), maxLagSeconds: options.maxLagSeconds });
    exitCode = EXIT_CODES[verdictOf(problems)];
    return options.format === 'json' ? healthJson(report, problems) : healthPretty(report, problems);
  });
  return exitCode;
}

function configuredLag(view: ClusterView | null): number {
  return parseInteger(view?.config?.data['maximum_lag_on_failover'], 'B') ?? DEFAULT_MAX_LAG_BYTES;
}
