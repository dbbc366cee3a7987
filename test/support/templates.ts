/** Configuration files of the shape that other projects' templates make. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'templates');

export const TEMPLATES = ['spilo', 'autobase', 'pigsty', 'percona', 'timescale', 'debian'] as const;
export type Template = (typeof TEMPLATES)[number];

/** What stands in capitals between underscores in a template. */
export interface Values {
  readonly name: string;
  readonly dir: string;
  readonly bin: string;
  readonly pg: number;
  readonly rest: number;
  /** host:port */
  readonly etcd: string;
}

function filled(file: string, values: Values): string {
  const words = Object.entries(values).map(([key, value]) => [`__${key.toUpperCase()}__`, String(value)] as const);
  return words.reduce((text, [word, value]) => text.replaceAll(word, value), readFileSync(join(FOLDER, file), 'utf8'));
}

export const templateText = (template: Template, values: Values): string => filled(`${template}.yml`, values);

/** The script that every template names as `__DIR__/script.sh`. */
export const scriptText = (values: Values): string => filled('script.sh', values);

/** What such an image or chart sets beside its file. */
export function templateEnv(template: Template, { name, dir, bin, pg, rest }: Values): Record<string, string> {
  if (template !== 'timescale') return {};
  return {
    PATRONI_SCOPE: name,
    PATRONI_NAME: name,
    PATRONI_RESTAPI_CONNECT_ADDRESS: `127.0.0.1:${rest}`,
    PATRONI_POSTGRESQL_CONNECT_ADDRESS: `127.0.0.1:${pg}`,
    PATRONI_POSTGRESQL_DATA_DIR: `${dir}/data`,
    PATRONI_POSTGRESQL_BIN_DIR: bin,
    PATRONI_POSTGRESQL_PGPASS: `${dir}/pgpass`,
    PATRONI_SUPERUSER_PASSWORD: 'super-pass',
    PATRONI_REPLICATION_PASSWORD: 'rep-pass',
  };
}
