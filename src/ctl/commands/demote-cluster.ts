import type { JsonObject } from '../../support/json.ts';
import type { Ctx } from '../context.ts';
import { refuse } from '../errors.ts';
import { changeCluster, demotion } from '../standby-cluster.ts';

interface Options {
  readonly force?: boolean;
  readonly host?: string;
  readonly port?: number;
  readonly restoreCommand?: string;
  readonly primarySlotName?: string;
}

export function run(ctx: Ctx, [name]: readonly string[], options: Options): Promise<number> {
  const { host, port, restoreCommand, primarySlotName } = options;
  if (host === undefined && port === undefined && restoreCommand === undefined)
    throw refuse('At least --host, --port or --restore-command should be specified');
  const given = { host, port, primary_slot_name: primarySlotName, restore_command: restoreCommand };
  const patch = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as JsonObject;
  return changeCluster(ctx, name, demotion(patch), options.force ?? false);
}
