/**
 * Which etcd the data of a machine belong to: a file in its data directory, gone with the
 * directory.
 */
import type { IdentityFile, KeptIdentity } from '../../../src/adapters/etcd/identity-file.ts';
import type { SimServer } from '../server.ts';

export class DataIdentity implements IdentityFile {
  readonly path = 'the data directory';
  readonly confirm = 'regent etcd-replaced';
  readonly #server: Pick<SimServer, 'full' | 'stuckFiles'>;
  #kept: KeptIdentity | null = null;

  constructor(server: Pick<SimServer, 'full' | 'stuckFiles'>) {
    this.#server = server;
  }

  read(): KeptIdentity | null {
    return this.#kept;
  }

  write(kept: KeptIdentity): boolean {
    if (this.#server.stuckFiles !== 'none' || this.#server.full !== 'no') return false;
    this.#kept = kept;
    return true;
  }

  remove(): void {
    this.#kept = null;
  }
}
