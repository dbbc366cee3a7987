/** synchronous_standby_names as PostgreSQL shows them, obeyed by commits or not. */
import fc from 'fast-check';

export const namesInForce = (...texts: readonly string[]) =>
  fc
    .record({ text: fc.constantFrom(...texts), obeyed: fc.constantFrom(true, true, false) })
    .map(({ text, obeyed }) => ({ synchronousStandbyNames: text, obeysSyncNames: obeyed || text === '' }));
