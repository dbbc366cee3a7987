/** Regent's own version, and the version it tells Patroni peers (a dotted integer string they compare with). */
export const REGENT_VERSION = '0.1.0';
export const DIALECT_VERSION = '4.1.4';
