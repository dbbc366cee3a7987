/**
 * The name of the person who uses this tool, for the log and the history of the cluster:
 * `alice@bastion`.
 */
import { hostname, userInfo } from 'node:os';
import process from 'node:process';

/** A person who changed user with sudo keeps their own name here. */
export function operatorName(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const name = `${env['SUDO_USER'] || userName()}@${hostname()}`;
  return name.replace(/[^ -~]/g, '_').slice(0, 100);
}

/** A user id in a container may have no name. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
