/** Figures as `regentctl advise` prints them. */
const BYTES_PER_MB = 1024 * 1024;

const figure = (value: number): string => String(Math.round(value * 100) / 100);

export const seconds = (value: number): string => `${figure(value)} s`;

export const span = (from: number, to: number): string => (from === to ? seconds(from) : `${figure(from)} to ${seconds(to)}`);

export const megabytes = (bytes: number): string => (bytes % BYTES_PER_MB === 0 ? `${bytes / BYTES_PER_MB} MB` : `${bytes} bytes`);
