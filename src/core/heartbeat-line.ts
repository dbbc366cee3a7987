/**
 * Lines that say, once a `loop_wait`, that nothing is to be done. People alert on their absence.
 */
export const isHeartbeat = (line: string): boolean => line.startsWith('no action. ') || line.startsWith('PAUSE: no action');
