/** Every word that names a setting: what a log must keep readable, whatever the passwords are. */
import * as z from 'zod';
import { about } from './leaves.ts';
import { localShape } from './schema.ts';
import { dynamicShape } from './schema-dynamic.ts';

type Shape = Readonly<Record<string, z.ZodType>>;

/** Single words, without the dots of a path. */
export function configKeyNames(): ReadonlySet<string> {
  const names = new Set<string>(['dcs']);
  const walk = (level: Shape): void => {
    for (const [key, schema] of Object.entries(level)) {
      names.add(key);
      const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
      if (about.get(schema)?.kind === 'section' && inner instanceof z.ZodObject) walk(inner.shape as Shape);
    }
  };
  walk(localShape);
  walk(dynamicShape);
  return names;
}
