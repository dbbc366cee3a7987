import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '../ports/clock.ts';

const START_MS = 2000;
const ANSWER_MS = 500;

/**
 * A dead man's switch beside the router. While the frontend is held, a router that is killed or hangs must not leave it held: this process then restores
 * the limit, when its standard input ends or `longest` milliseconds have passed.
 */
const PROGRAM = `
use strict;
use Socket;
my ($path, $longest) = @ARGV;
my ($text, $frontend, $limit) = ('');
$SIG{$_} = 'IGNORE' for qw(HUP INT TERM PIPE);
sub release {
    return unless defined $frontend;
    if (socket(my $haproxy, AF_UNIX, SOCK_STREAM, 0) && connect($haproxy, pack_sockaddr_un($path))) {
        syswrite $haproxy, "set maxconn frontend $frontend $limit\\n";
        sysread $haproxy, my $answer, 512;
    }
    undef $frontend;
}
syswrite STDOUT, "ok\\n";
while (1) {
    my $ready = '';
    vec($ready, fileno STDIN, 1) = 1;
    my $count = select($ready, undef, undef, defined $frontend ? $longest / 1000 : undef);
    if ($count == 0) { release(); next }
    next if $count < 0;
    last unless sysread STDIN, $text, 512, length $text;
    while ($text =~ s/^([^\\n]*)\\n//) {
        my $line = $1;
        ($frontend, $limit) = $line =~ /^hold (\\S+) (\\d+)$/ ? ($1, $2) : (undef, undef);
        syswrite STDOUT, "ok\\n";
    }
}
release();
`;

export interface Releaser {
  /** Starts the switch ahead of need. */
  prepare(): void;
  /** True once the switch is set; false when it cannot be, and nothing must be held then. */
  arm(frontend: string, limit: number): Promise<boolean>;
  disarm(): Promise<void>;
  close(): void;
}

/** `longestMs`: after that it releases even while the router lives. Started again when it was lost. */
export function createReleaser(options: { readonly socketPath: string; readonly longestMs: number; readonly clock: Clock }): Releaser {
  let child: ChildProcess | null = null;
  const waiting: Array<(ok: boolean) => void> = [];

  const settleAll = (ok: boolean) => {
    for (const settle of waiting.splice(0)) settle(ok);
  };
  const lose = (which: ChildProcess) => {
    if (child !== which) return;
    child = null;
    settleAll(false);
  };
  const answer = (ms: number) =>
    new Promise<boolean>((resolve) => {
      const settle = (ok: boolean) => {
        cancel();
        resolve(ok);
      };
      const cancel = options.clock.timer(ms, () => {
        // A late answer would be taken for the next one. The end of its input makes the switch release, whatever it was doing.
        child?.stdin?.end();
        if (child) lose(child);
      });
      waiting.push(settle);
    });
  const start = async (): Promise<boolean> => {
    if (child) return true;
    const started = spawn('/usr/bin/perl', ['-e', PROGRAM, options.socketPath, String(options.longestMs)], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {},
    });
    child = started;
    started.once('error', () => lose(started));
    started.once('close', () => lose(started));
    started.stdin.on('error', () => lose(started));
    started.stdout.setEncoding('latin1').on('data', (chunk: string) => {
      for (const _line of chunk.split('\n').slice(1)) waiting.shift()?.(true);
    });
    return answer(START_MS);
  };
  const tell = async (line: string): Promise<boolean> => {
    if (!child?.stdin) return false;
    child.stdin.write(`${line}\n`);
    return answer(ANSWER_MS);
  };
  return {
    prepare: () => void start(),
    arm: async (frontend, limit) => (await start()) && (await tell(`hold ${frontend} ${limit}`)),
    disarm: async () => {
      await tell('free');
    },
    close: () => {
      child?.stdin?.end();
    },
  };
}
