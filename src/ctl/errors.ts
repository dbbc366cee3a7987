/**
 * How a command fails. Exit 1: the cluster or the operator's answer said no. Exit 2: the command
 * line was wrong.
 */
import { RegentError } from '../support/errors.ts';

export type CtlErrorCode =
  | 'CTL_CONFIG'
  | 'CTL_REFUSED'
  | 'CTL_USAGE'
  | 'CTL_CONFLICT'
  | 'CTL_EDITOR'
  | 'CTL_MEMBER_UNREACHABLE'
  | 'CTL_MEMBER_NO_API';

export class CtlError extends RegentError {
  constructor(code: CtlErrorCode, message: string, mend?: string) {
    super(code, message, mend === undefined ? {} : { mend });
    this.name = 'CtlError';
  }
}

/**
 * The cluster is not in the state that the command needs, or the operator's answer does not match.
 * The wording is patronictl's.
 */
export function refuse(message: string, mend?: string): CtlError {
  return new CtlError('CTL_REFUSED', message, mend);
}

/** Shown with the command's usage line; exit 2. */
export function usage(message: string): CtlError {
  return new CtlError('CTL_USAGE', message);
}

/** Ctrl-C or the end of the input at a prompt. */
export class Aborted extends Error {
  constructor() {
    super('Aborted!');
    this.name = 'Aborted';
  }
}
