/**
 * The guard: a small process beside the agent that holds the kill switch of one data directory. It
 * gets a deadline. Once that moment (Clock.bootMs) has passed, it stops any postmaster that runs in
 * the data directory, and goes on doing so until told otherwise. It outlives the agent; a new agent
 * finds it again.
 */
export interface Guard {
  /**
   * Starts the guard or finds the one that is running, and holds the data directory from then on.
   * Throws GUARD_FAILED, and DATA_DIR_HELD when the process of another agent that holds it lives.
   */
  open(): Promise<void>;
  /**
   * Returns only after the guard has confirmed the deadline. Throws GUARD_FAILED when it did not in
   * time: PostgreSQL must then not become writable.
   */
  arm(deadlineBootMs: number, options: { readonly timeoutMs: number }): Promise<void>;
  /**
   * The deadline it has (Clock.bootMs), even a past one; null: it has none. Throws GUARD_FAILED.
   */
  deadline(options: { readonly timeoutMs: number }): Promise<number | null>;
  /**
   * Whether the kernel stops PostgreSQL when this guard and its agent are killed together, as the
   * guard said last; null: it has not said.
   */
  readonly tethered: boolean | null;
  /** PostgreSQL may run on as it is (standby, stopped, paused). */
  disarm(options: { readonly timeoutMs: number }): Promise<void>;
  /** Calls back when the guard process is gone unasked. */
  onGone(listener: () => void): void;
  /** end: the guard exits (clean shutdown). Otherwise it stays, with its deadline. */
  close(options: { readonly end: boolean }): Promise<void>;
}

/**
 * What ties a postmaster to guard and agent: an armed guard and its agent cannot both be gone while
 * PostgreSQL runs on. Only a start can do that; a postmaster that was adopted is not tethered.
 */
export interface Tether {
  /**
   * Words to put before the command that starts PostgreSQL; none: it starts untethered. Never
   * throws.
   */
  words(): Promise<readonly string[]>;
  /**
   * To be called with the process that was started with those words, before PostgreSQL takes
   * clients. False: it is not tethered. Never throws.
   */
  hold(pid: number): Promise<boolean>;
}

/** /dev/watchdog. All methods are safe to call without a device. */
export interface Watchdog {
  /** True when a device is open and counting. */
  readonly active: boolean;
  /** The device could be used (exists and may be written), or mode is off. */
  healthy(): boolean;
  /** False when it cannot be armed. timeoutMs: the device's timeout to set. */
  activate(timeoutSeconds: number): Promise<boolean>;
  keepAlive(): Promise<void>;
  disable(): Promise<void>;
}
