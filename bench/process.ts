/**
 * One process of a benchmark's cluster. Its output goes to a file; it is ended by identity, never
 * by name.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { endInOrder } from '../src/demo/kill.ts';
import { identify, type ProcessIdentity } from '../src/demo/process-table.ts';
import type { ProcessSpec } from '../src/demo/specs.ts';
import { RegentError } from '../src/support/errors.ts';

export class LabProcess {
  readonly spec: ProcessSpec;
  readonly identity: ProcessIdentity | null;
  #ended: string | null = null;

  constructor(spec: ProcessSpec) {
    this.spec = spec;
    const log = openSync(spec.logFile, 'a', 0o600);
    try {
      const child = spawn(spec.file, [...spec.args], { cwd: spec.cwd, env: { ...spec.env }, detached: true, stdio: ['ignore', log, log] });
      this.identity = child.pid === undefined ? null : identify(child.pid);
      child.on('error', (error) => {
        this.#ended = `could not be started: ${error.message}`;
      });
      child.on('exit', (code, by) => {
        this.#ended = by === null ? `ended with exit code ${code}` : `was ended by ${by}`;
      });
    } finally {
      closeSync(log);
    }
  }

  /** In words; null while it runs. */
  get ended(): string | null {
    return this.#ended;
  }

  /** Throws BENCH_PROCESS when it has ended by itself. */
  check(): void {
    if (this.#ended === null) return;
    throw new RegentError('BENCH_PROCESS', `${this.spec.name} ${this.#ended}`, { mend: `its log: ${this.spec.logFile}` });
  }

  async stop(): Promise<void> {
    if (this.identity) await endInOrder([this.identity], this.spec.graceMs);
  }
}
