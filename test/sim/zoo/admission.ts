/** Clients that see what recovery brought back before it is safe. */
import { at } from './edit.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const quorum = { synchronous_mode: 'quorum', primary_start_timeout: 60 };
const crashes = under(['kill-postgres', 'cut-nodes'], quorum, { nodes: ['a', 'b', 'c'], clients: busy });

export const admissionMutants: readonly Mutant[] = [
  {
    id: 'clients-let-in-unconfirmed',
    broken: 'A primary that was started again lets its clients in, whoever has confirmed what it recovered.',
    offends: ['S11', 'M3'],
    edits: [at('src/core/admission.ts', 'admissionRows').replacing('confirmed.length >= count', 'true')],
    verdicts: ['safety'],
    focus: crashes,
  },
  {
    id: 'clients-never-kept-out',
    broken: 'A primary is started again with its clients let in from the beginning.',
    offends: ['S11', 'M3'],
    edits: [at('src/core/admission.ts', 'keepsClientsOut').returns('false')],
    verdicts: ['safety'],
    focus: crashes,
  },
  {
    id: 'clients-kept-out-for-good',
    broken: 'Nobody ever lets the clients in again.',
    offends: ['S19', 'M3'],
    edits: [at('src/core/admission.ts', 'admit').beginning('return nobodyWaits;')],
    verdicts: ['liveness'],
    focus: crashes,
  },
];
