/** The end of NOTIFY_SOCKET that systemd has. Node has no datagram sockets of the Unix domain. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Prints one line a message: the sender's pid, and the message with its line breaks escaped. */
const PROGRAM = String.raw`
use strict; use Socket; $| = 1;
my $name = shift; $name =~ s/^\@/\0/;
my $s;
socket($s, AF_UNIX, SOCK_DGRAM, 0) && bind($s, pack_sockaddr_un($name)) or die "$!";
setsockopt $s, 1, 16, 1 or die "$!";
my ($machine) = qx(uname -m) =~ /(\S+)/;
my $recvmsg = { x86_64 => 47, aarch64 => 212, riscv64 => 212 }->{$machine} or die "unknown machine";
print "listening\n";
while (1) {
    my ($data, $control) = ("\0" x 4096, "\0" x 64);
    my $part = pack 'P J', $data, length $data;
    my $header = pack 'J L x4 P J P J i x4', 0, 0, $part, 1, $control, length $control, 0;
    my $got = syscall $recvmsg, fileno $s, $header, 0;
    die "$!" if $got < 0;
    my $pid = unpack 'x16 i', $control;
    my $text = substr $data, 0, $got; $text =~ s/\n/\\n/g;
    print "$pid $text\n";
}
`;

interface Notification {
  readonly pid: number;
  readonly text: string;
}

interface NotifyReceiver {
  /** Resolves to the first one that fits, after the one it resolved to before. */
  next(fits: RegExp): Promise<Notification>;
  /** The texts after that one. */
  rest(): readonly string[];
  close(): void;
}

const PATIENCE_MS = 20_000;

/** `name`: a path, or `@` and an abstract name. */
export async function receiveNotifications(name: string): Promise<NotifyReceiver> {
  const child = spawn('perl', ['-e', PROGRAM, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const received: Notification[] = [];
  const waiting = new Set<() => void>();
  let passed = 0;
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [pid = '', ...words] = line.split(' ');
      if (pid !== 'listening') received.push({ pid: Number(pid), text: words.join(' ').replaceAll('\\n', '\n') });
    }
    for (const look of [...waiting]) look();
  });
  await once(child.stdout, 'data');
  return {
    next: (fits) =>
      new Promise((resolve, reject) => {
        const done = () => {
          clearTimeout(timer);
          waiting.delete(look);
        };
        const look = () => {
          const at = received.findIndex(({ text }, index) => index >= passed && fits.test(text));
          if (at < 0) return;
          passed = at + 1;
          done();
          resolve(received[at]!);
        };
        const timer = setTimeout(() => {
          done();
          reject(new Error(`no message like ${fits}; there were ${JSON.stringify(received)}`));
        }, PATIENCE_MS);
        waiting.add(look);
        look();
      }),
    rest: () => received.slice(passed).map(({ text }) => text),
    close: () => void child.kill('SIGKILL'),
  };
}
