/** Who works with this tool, for the log and the history of the cluster: `alice@bastion`. */
import { hostname, userInfo } from 'node:os';
import process from 'node:process';

/** Whoever became another user with sudo is known by their own name. */
export function operatorName(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const name = `${env['SUDO_USER'] || userName()}@${hostname()}`;
  return name.replace(/[^ -~]/g, '_').slice(0, 100);
}

/** A user id of a container need not have a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
