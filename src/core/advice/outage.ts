/** How long clients cannot write. */
import { seconds, span } from './words.ts';

export interface Outage {
  readonly fromSeconds: number;
  /** Null: as long as what `until` says. */
  readonly toSeconds: number | null;
  readonly until?: string;
  /** The promotion of the successor comes on top. */
  readonly thenPromotion: boolean;
}

export const noOutage = (): Outage => ({ fromSeconds: 0, toSeconds: 0, thenPromotion: false });

export const until = (what: string, fromSeconds = 0): Outage => ({ fromSeconds, toSeconds: null, until: what, thenPromotion: false });

export const takenOver = (fromSeconds: number, toSeconds: number): Outage => ({ fromSeconds, toSeconds, thenPromotion: true });

/** `none`, `up to 1 s + promotion`, `20 to 30 s + promotion`, `until etcd is back`. */
export function outageText({ fromSeconds, toSeconds, until, thenPromotion }: Outage): string {
  if (toSeconds === null) return `${fromSeconds > 0 ? `${seconds(fromSeconds)} or more, ` : ''}until ${until}`;
  if (toSeconds === 0) return thenPromotion ? 'promotion' : 'none';
  const time = fromSeconds === 0 ? `up to ${seconds(toSeconds)}` : span(fromSeconds, toSeconds);
  return thenPromotion ? `${time} + promotion` : time;
}
