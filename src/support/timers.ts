/** setTimeout fires at once for anything longer: 24.8 days. */
export const LONGEST_TIMER_MS = 2_147_483_647;
