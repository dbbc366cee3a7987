/**
 * A wall clock of each node's own, which can be stepped. The machine's belongs to everybody, and
 * namespaces have none; so a library is preloaded into all that the agent starts, and adds an
 * offset that lies in a file which all of them map. CLOCK_MONOTONIC stays.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, constants, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long long *offset;

__attribute__((constructor)) static void map_offset(void) {
  const char *path = getenv("CHAOS_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *page = mmap(NULL, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) offset = page;
  close(file);
}

static long long seconds_off(void) { return offset ? *offset : 0; }

int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, at);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += seconds_off();
  return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = (int (*)(struct timeval *, void *)) dlsym(RTLD_NEXT, "gettimeofday");
  int result = real(at, zone);
  if (result == 0 && at) at->tv_sec += seconds_off();
  return result;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
`;

export class Clocks {
  readonly #library: string;

  private constructor(library: string) {
    this.#library = library;
  }

  /** null: no C compiler is here that makes the library. */
  static build(directory: string): Clocks | null {
    const source = join(directory, 'clock.c');
    const library = join(directory, 'clock.so');
    writeFileSync(source, SOURCE);
    try {
      execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'], { stdio: 'pipe', timeout: 60_000 });
    } catch {
      return null;
    }
    chmodSync(library, 0o755);
    return new Clocks(library);
  }

  /** Put before the agent's command line; `directory` is the node's. */
  launcher(directory: string): readonly string[] {
    return ['env', `LD_PRELOAD=${this.#library}`, `CHAOS_CLOCK=${fileOf(directory)}`];
  }

  /** From the machine's clock. A process sees it with the next look at its own. */
  set(directory: string, seconds: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    // Never truncated: who has it mapped would be ended by SIGBUS.
    const file = openSync(fileOf(directory), constants.O_RDWR | constants.O_CREAT, 0o644);
    try {
      writeSync(file, bytes, 0, bytes.length, 0);
    } finally {
      closeSync(file);
    }
  }
}

const fileOf = (directory: string) => join(directory, 'clock');
