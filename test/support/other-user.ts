/**
 * For tests of what a user who is not root may do. Root may write everywhere, so a test run by root
 * goes on as another user for a while.
 */
const NOBODY = 65_534;

/** Whether directories of another user's can be made here at all. */
export const canBeOtherUser = process.getuid?.() === 0 && process.seteuid !== undefined;

export const otherUser = { uid: NOBODY, gid: NOBODY } as const;

/** Runs as a user who is nobody's; programs that are started meanwhile are not changed. */
export async function asOtherUser<T>(work: () => Promise<T>): Promise<T> {
  process.setegid?.(NOBODY);
  process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}
