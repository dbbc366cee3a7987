/**
 * `./regentctl list` right after `./regent demo`: if nothing says which cluster is meant, the tool
 * uses a demo on this machine.
 */
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../config/env.ts';
import { CTL_FILE, defaultDirectory } from '../demo/place.ts';

function readable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** The user's own file, which need not exist. */
export function defaultPath(env: Environment): string {
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'patroni', 'patronictl.yaml');
}

/** The environment says which cluster is meant, or a part of that. */
export function saysCluster(env: Environment): boolean {
  return Object.keys(env).some((name) => name.startsWith('PATRONI') || name === 'DCS_URL');
}

/**
 * The environment with PATRONICTL_CONFIG_FILE naming the demo's file, if neither the environment
 * nor the user's own file says anything.
 */
export function withDemo(env: Environment, uid: number): Environment {
  if (saysCluster(env) || readable(defaultPath(env))) return env;
  const path = join(defaultDirectory(env, uid), CTL_FILE);
  return readable(path) ? { ...env, PATRONICTL_CONFIG_FILE: path } : env;
}
