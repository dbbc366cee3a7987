/**
 * Ends this process, also where a system call of its own never returns.
 *
 * process.exit() waits for the threads that Node has for files and names. One of them may be in a
 * write to a log file on a disk that hangs, or to a terminal that is stopped. Then the process
 * would stay for ever, and its supervisor would see no reason to start it again.
 */
import process from 'node:process';

const THREAD_REQUESTS: ReadonlySet<string> = new Set([
  'FSReqCallback',
  'FSReqPromise',
  'CloseReq',
  'FileHandleCloseReq',
  'GetAddrInfoReqWrap',
  'GetNameInfoReqWrap',
]);
const LOOK_MS = 20;
/** A read of a file that is under way needs no more. */
const PATIENCE_MS = 200;

/**
 * With `code` as the exit code. Where a thread is still busy after a moment, the kernel ends the
 * process instead (SIGKILL), and the code is lost.
 */
export function endProcess(code: number, patienceMs = PATIENCE_MS): void {
  if (!process.getActiveResourcesInfo().some((kind) => THREAD_REQUESTS.has(kind))) process.exit(code);
  if (patienceMs <= 0) process.kill(process.pid, 'SIGKILL');
  setTimeout(() => endProcess(code, patienceMs - LOOK_MS), LOOK_MS);
}
