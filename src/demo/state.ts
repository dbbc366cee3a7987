/**
 * What a demo directory remembers: the marker (whose it is, with which settings) and the state
 * (which processes run).
 *
 * The marker makes a directory ours; without it nothing below is ever removed. The state is
 * rewritten by the supervisor at every change, so that whatever is left of one that was killed can
 * be found by identity.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { codeOf, RegentError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { demoCommand } from './commands.ts';
import { readIfThere, writePrivately } from './files.ts';
import { type DemoSettings, FILES } from './plan.ts';

const identitySchema = z.object({ pid: z.number().int().positive(), startTicks: z.number().int(), bootId: z.string() });

const markerSchema = z.object({
  regentDemo: z.literal(1),
  /** The directory was made by the demo, so `down` removes it too. */
  createdDirectory: z.boolean(),
  nodes: z.number().int(),
  basePort: z.number().int(),
  overrides: z.record(z.string(), z.json()),
  stats: z.object({ username: z.string(), password: z.string() }),
  postgresBin: z.string(),
  etcd: z.string(),
  haproxy: z.string(),
});

const stateSchema = z.object({
  supervisor: identitySchema.nullable(),
  processes: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['etcd', 'agent', 'haproxy', 'router']),
      /** null: not running. */
      identity: identitySchema.nullable(),
      startedAt: z.number().nullable(),
      /** What the user asked for last. */
      wanted: z.enum(['running', 'stopped', 'killed']),
      restarts: z.number().int(),
      /** How it ended last, in words; null while running. */
      ended: z.string().nullable(),
    }),
  ),
});

export type Marker = z.infer<typeof markerSchema>;
export type DemoState = z.infer<typeof stateSchema>;
export type ProcessState = DemoState['processes'][number];
export type ProcessKind = ProcessState['kind'];

export const EMPTY_STATE: DemoState = { supervisor: null, processes: [] };

function parse<T>(schema: z.ZodType<T>, path: string, text: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new RegentError('DEMO_STATE', `${path} is not what a demo of this version writes`, {
      mend: `stop what still runs there by hand, then remove the directory`,
      cause: error,
    });
  }
}

export async function readMarker(directory: string): Promise<Marker | null> {
  const path = join(directory, FILES.marker);
  const text = await readIfThere(path);
  return text === null ? null : parse(markerSchema, path, text);
}

export async function writeMarker(directory: string, marker: Marker): Promise<void> {
  await writePrivately(join(directory, FILES.marker), `${JSON.stringify(marker, null, 2)}\n`);
}

export async function readState(directory: string): Promise<DemoState> {
  const path = join(directory, FILES.state);
  const text = await readIfThere(path);
  return text === null ? EMPTY_STATE : parse(stateSchema, path, text);
}

export async function writeState(directory: string, state: DemoState): Promise<void> {
  await writePrivately(join(directory, FILES.state), `${JSON.stringify(state, null, 2)}\n`);
}

export function settingsOf(directory: string, marker: Marker): DemoSettings {
  return { directory, nodes: marker.nodes, basePort: marker.basePort, overrides: marker.overrides as JsonObject, stats: marker.stats };
}

export type DirectoryKind = 'absent' | 'empty' | 'ours';

/** Throws DEMO_DIRECTORY when something else lies there, or it cannot be looked at. */
export async function inspectDirectory(directory: string): Promise<DirectoryKind> {
  let entries: string[];
  try {
    entries = await readdir(directory);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return 'absent';
    if (code === 'ENOTDIR')
      throw new RegentError('DEMO_DIRECTORY', `${directory} is not a directory`, { mend: 'name another one with --dir' });
    const mend = 'run this as the user who started the demo (or as root), or name another directory with --dir';
    throw new RegentError('DEMO_DIRECTORY', `${directory} cannot be read (${code ?? error})`, { mend, cause: error });
  }
  if (entries.length === 0) return 'empty';
  if (entries.includes(FILES.marker)) return 'ours';
  throw new RegentError('DEMO_DIRECTORY', `${directory} is not empty and not a demo's`, {
    mend: 'name a new or an empty directory with --dir',
  });
}

/** Throws DEMO_DIRECTORY where something else is there, or the directory cannot be read. */
export const hasDemo = async (directory: string): Promise<boolean> => (await markerOf(directory)) !== null;

const markerOf = async (directory: string) => ((await inspectDirectory(directory)) === 'ours' ? await readMarker(directory) : null);

/** The demo there, or DEMO_ABSENT. */
export async function requireDemo(directory: string): Promise<{ readonly settings: DemoSettings; readonly marker: Marker }> {
  const marker = await markerOf(directory);
  if (marker === null) {
    throw new RegentError('DEMO_ABSENT', `there is no demo in ${directory}`, {
      mend: `start one with: ${demoCommand('', directory)} (or say where it is with --dir)`,
    });
  }
  return { settings: settingsOf(directory, marker), marker };
}
