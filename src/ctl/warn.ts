/** Said before a question, on standard error, so that standard output stays patronictl's. */
import type { Ctx } from './context.ts';

export const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

export function warn({ io }: Pick<Ctx, 'io'>, text: string): void {
  io.stderr.write(`Warning: ${text}\n`);
}
