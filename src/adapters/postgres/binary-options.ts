/**
 * Options of PostgreSQL's programs as the configuration gives them, turned into arguments. Always
 * in the long form.
 */

import type { BinaryOption } from '../../core/settings.ts';
import { BASEBACKUP_FORBIDDEN, isOptionName } from '../../pgconf/program-options.ts';

export interface OptionArguments {
  readonly args: string[];
  /**
   * Options left out because Regent sets them itself, or because they would break the operation.
   */
  readonly refused: string[];
}

/**
 * `forbidden` names come without dashes. A value in quotes loses them: YAML has left them there
 * because the user meant a shell.
 */
export function optionArguments(options: readonly BinaryOption[], forbidden: readonly string[]): OptionArguments {
  const args: string[] = [];
  const refused: string[] = [];
  for (const option of options) {
    const name = option.name.replace(/^-+/, '');
    if (forbidden.includes(name) || !isOptionName(name)) refused.push(name);
    else args.push(option.value === null ? `--${name}` : `--${name}=${unquote(option.value)}`);
  }
  return { args, refused };
}

function unquote(value: string): string {
  const match = /^(["'])([\s\S]*)\1$/.exec(value);
  return match?.[2] ?? value;
}

/** 15 and newer can compress on the server's side, which pg_basebackup undoes on arrival. */
export function basebackupForbidden(options: readonly BinaryOption[], major: number): readonly string[] {
  const compress = options.find((option) => option.name.replace(/^-+/, '') === 'compress');
  const usable = compress === undefined || (major >= 15 && (compress.value ?? '').startsWith('server'));
  return usable ? BASEBACKUP_FORBIDDEN : [...BASEBACKUP_FORBIDDEN, 'compress'];
}
