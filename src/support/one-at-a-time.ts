/**
 * Runs one piece of work that must not run beside itself. Calls that come while it runs share the
 * next run. So no caller gets a result from before it asked, and a crowd costs two runs at most.
 */
export function oneAtATime<A, T>(work: (argument: A) => Promise<T>): (argument: A) => Promise<T> {
  let running: Promise<T> | null = null;
  let next: Promise<T> | null = null;
  const begin = (argument: A): Promise<T> => {
    const run = work(argument).finally(() => {
      if (running === run) running = null;
    });
    running = run;
    return run;
  };
  return (argument) => {
    if (running === null) return begin(argument);
    if (next !== null) return next;
    const follow = (): Promise<T> => {
      next = null;
      // Begun between the end of the run waited for and now: late enough for everybody who waits
      // here.
      return running ?? begin(argument);
    };
    next = running.then(follow, follow);
    return next;
  };
}
