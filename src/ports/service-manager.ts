/** What a service manager can be told (systemd's sd_notify). */
export type ServiceState = 'ready' | 'reloading' | 'stopping' | 'alive';

/** Who started the agent, and wants to know how it is. */
export interface ServiceManager {
  /** It ends an agent that is silent for so long; null: it waits for no sign of life. */
  readonly patienceMs: number | null;
  /** Never throws, never waits. */
  tell(state: ServiceState): void;
}

export const noServiceManager: ServiceManager = { patienceMs: null, tell: () => undefined };
