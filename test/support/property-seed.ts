/**
 * Runs before every unit test file. A property that fails prints its seed and path; with these
 * variables the same case runs again. fast-check is loaded only then, because most files need none.
 */
const { REGENT_PROPERTY_SEED: seed, REGENT_PROPERTY_PATH: path } = process.env;

if (seed !== undefined) {
  if (!/^-?\d+$/.test(seed)) throw new Error(`REGENT_PROPERTY_SEED=${seed} is not a number: give the seed that a failed property printed`);
  const { default: fc } = await import('fast-check');
  fc.configureGlobal({ seed: Number(seed), ...(path === undefined ? {} : { path }) });
}
