import { chmodSync, closeSync, copyFileSync, fstatSync, mkdirSync, openSync, renameSync, truncateSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf } from '../../support/errors.ts';

const BUSY_RETRY_MS = 20;

/**
 * Takes lines at once and writes them in the background: a reader or a disk that hangs must not
 * stop the agent.
 */
export interface Sink {
  write(line: string): void;
  /** Lines lost since the last call. */
  takeLost(): number;
  /** Resolves when everything is written, or after timeoutMs: false. */
  flush(timeoutMs: number): Promise<boolean>;
  close(timeoutMs: number): Promise<void>;
}

export interface Rotation {
  readonly sizeBytes: number;
  /** Older files kept as `.1`, `.2` …; 0: never rotate. */
  readonly keep: number;
  readonly mode: number | null;
  readonly maxQueueSize: number;
}

/**
 * `maxQueueSize`: lines waiting to be written; more are counted, and reported once there is room
 * again. `prepare` returns the descriptor to write `bytes` to; it may rotate first.
 */
function createSink(maxQueueSize: number, prepare: (bytes: number) => number, closeFd: () => void): Sink {
  let queue: Buffer[] = [];
  let lost = 0;
  let busy = false;
  let idle: Array<() => void> = [];

  const rest = () => {
    busy = false;
    for (const resolve of idle.splice(0)) resolve();
  };
  const put = (fd: number, batch: Buffer, lines: number) => {
    write(fd, batch, 0, batch.length, null, (error, written) => {
      // A full pipe of somebody else's making (non-blocking standard error): wait for its reader.
      if (codeOf(error) === 'EAGAIN') return void setTimeout(() => put(fd, batch, lines), BUSY_RETRY_MS);
      if (error) lost += lines;
      else if (written < batch.length) return put(fd, batch.subarray(written), lines);
      next();
    });
  };
  const next = () => {
    if (queue.length === 0) return rest();
    busy = true;
    const lines = queue.length;
    const batch = Buffer.concat(queue);
    queue = [];
    try {
      put(prepare(batch.length), batch, lines);
    } catch {
      lost += lines;
      rest();
    }
  };
  const flush = (timeoutMs: number) =>
    new Promise<boolean>((resolve) => {
      if (!busy) return resolve(true);
      const timer = setTimeout(() => resolve(false), timeoutMs);
      idle.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });

  return {
    write: (line) => {
      if (queue.length >= maxQueueSize) lost++;
      else queue.push(Buffer.from(`${line}\n`));
      if (!busy) next();
    },
    takeLost: () => {
      const count = lost;
      lost = 0;
      return count;
    },
    flush,
    close: async (timeoutMs) => {
      await flush(timeoutMs);
      idle = [];
      if (!busy) closeFd();
    },
  };
}

export function createStderrSink({ maxQueueSize, fd = 2 }: { readonly maxQueueSize: number; readonly fd?: number }): Sink {
  return createSink(
    maxQueueSize,
    () => fd,
    () => undefined,
  );
}

/**
 * Appends to the file, making its directory if need be; rotates by size. Errors (disk full, no
 * permission) lose lines, never throw.
 */
export function createFileSink(path: string, rotation: Rotation): Sink {
  let fd: number | null = null;
  let size = 0;
  let rotates = rotation.keep > 0 && rotation.sizeBytes > 0;
  const close = () => {
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  const open = () => {
    mkdirSync(dirname(path), { recursive: true });
    fd = openSync(path, 'a', 0o666);
    if (rotation.mode !== null) chmodSync(path, rotation.mode);
    size = fstatSync(fd).size;
    return fd;
  };
  const rotate = () => {
    close();
    try {
      for (let index = rotation.keep - 1; index >= 1; index--) renameIfThere(`${path}.${index}`, `${path}.${index + 1}`);
      renameIfThere(path, `${path}.1`);
    } catch {
      empty();
    }
  };
  // A file that is mounted, or lies in a directory that takes no other, cannot be put aside. Its
  // text is copied where that is possible; else it just grows, and loses nothing.
  const empty = () => {
    try {
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
    } catch {
      rotates = false;
    }
  };
  const prepare = (bytes: number) => {
    let target = fd ?? open();
    if (rotates && size > 0 && size + bytes > rotation.sizeBytes) {
      rotate();
      target = open();
    }
    size += bytes;
    return target;
  };
  return createSink(rotation.maxQueueSize, prepare, close);
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
