/** Put in by the build (tools/version.mjs); not there where the sources are run as they are. */
declare const __REGENT_BUILD__: string | undefined;

const RELEASE = '0.1.0';

/** Regent's own version, with what the bundle was built from. */
export const REGENT_VERSION = typeof __REGENT_BUILD__ === 'string' ? `${RELEASE}+${__REGENT_BUILD__}` : RELEASE;

/** The version it tells Patroni peers (a dotted integer string they compare with). */
export const DIALECT_VERSION = '4.1.4';
