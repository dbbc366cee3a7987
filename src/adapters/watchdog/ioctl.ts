import { spawn } from 'node:child_process';
import type { Clock } from '../../ports/clock.ts';

/**
 * Node has no ioctl(2). A short-lived perl gets the device as its descriptor 3. Its end does not
 * close the device, because the agent's own descriptor stays open. Numbers are from
 * linux/watchdog.h, and hold where ioctl has its common layout. All likely servers of PostgreSQL
 * have it.
 */
const PROGRAM = `
open my $device, '+>&=', 3 or open $device, '>&=', 3 or exit 3;
my $info = pack 'LLa32', 0, 0, '';
my $options = ioctl($device, 0x80285700, $info) ? (unpack 'L', $info)[0] : -1;
if (@ARGV) { my $wanted = pack 'i', $ARGV[0]; ioctl($device, 0xC0045706, $wanted) }
my $seconds = pack 'i', 0;
my $actual = ioctl($device, 0x80045707, $seconds) ? unpack('i', $seconds) : -1;
print "$options $actual\\n";
`;

const MAGIC_CLOSE = 0x0100;

export interface DeviceAnswer {
  /** The device's timeout after setting it; null when it does not tell. */
  readonly timeoutSeconds: number | null;
  /** Writing 'V' disarms it. null: unknown. */
  readonly magicClose: boolean | null;
}

export const SILENT: DeviceAnswer = { timeoutSeconds: null, magicClose: null };

/**
 * Asks the device for the timeout, and reads back what it made of that. Never throws: a device that
 * cannot be asked is SILENT.
 */
export function setDeviceTimeout(fd: number, timeoutSeconds: number, clock: Clock, deadlineMs: number): Promise<DeviceAnswer> {
  return new Promise((resolve) => {
    let text = '';
    const child = spawn('/usr/bin/perl', ['-e', PROGRAM, String(timeoutSeconds)], { stdio: ['ignore', 'pipe', 'ignore', fd], env: {} });
    const cancel = clock.timer(deadlineMs, () => child.kill('SIGKILL'));
    child.stdout?.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    const settle = () => {
      cancel();
      resolve(parse(text));
    };
    child.once('error', settle);
    child.once('close', settle);
  });
}

function parse(text: string): DeviceAnswer {
  const match = /^(-?\d+) (-?\d+)$/m.exec(text);
  if (!match) return SILENT;
  const [options, seconds] = [Number(match[1]), Number(match[2])];
  return { timeoutSeconds: seconds > 0 ? seconds : null, magicClose: options < 0 ? null : (options & MAGIC_CLOSE) !== 0 };
}
