import { describe, expect, it } from 'vitest';
import { type Ack, lineOf, outageMs, parseLines, Reigns } from './history.ts';

const ack = (timeline: number, node: string, sentMs: number, atMs: number): Ack => ({
  ...{ by: 'router-1', id: Math.round(sentMs * 1000), sentMs, atMs, node, timeline },
});

function reignsOf(...acks: readonly Ack[]): Reigns {
  const reigns = new Reigns();
  for (const one of acks) reigns.add(one);
  return reigns;
}

describe('the history', () => {
  it('is read line by line, and a line that is still being written is kept for later', () => {
    const one = ack(1, 'node1', 1, 2);
    const failure = { by: 'node2-hasty', id: 5, sentMs: 3, atMs: 4, error: '25006 read-only', refused: true };
    const text = lineOf(one) + lineOf(failure);
    const first = parseLines(text.slice(0, -10));
    expect(first.outcomes).toEqual([one]);
    expect(parseLines(first.rest + text.slice(-10))).toEqual({ outcomes: [failure], rest: '' });
  });
});

describe('the outage of a client', () => {
  it('is the longest time without an acknowledgement, the last one before the fault included', () => {
    expect(outageMs([0, 10, 20, 500, 510, 700], 25, 705)).toBe(480);
  });

  it('counts what is not over at the end, and nothing from before', () => {
    expect(outageMs([0, 400, 410, 420], 415, 1000)).toBe(580);
    expect(outageMs([0, 400, 410, 420], 415, 425)).toBe(10);
  });

  it('cannot be told of a client that had not been served', () => {
    expect(outageMs([50], 40, 60)).toBeNull();
  });
});

describe('who acknowledged when', () => {
  it('is in order when every primary ends before the next one begins', () => {
    const reigns = reignsOf(ack(1, 'node1', 0, 1), ack(1, 'node1', 8, 9), ack(2, 'node2', 10, 11), ack(3, 'node1', 20, 21));
    expect([reigns.overlaps(), reigns.twins(), reigns.latenessMs()]).toEqual([[], [], []]);
    expect([reigns.timelines, reigns.changes]).toEqual([3, 2]);
  });

  it('is wrong when the old primary acknowledges what was sent after the first acknowledgement of the new one', () => {
    const [old, next] = [ack(1, 'node1', 12, 13), ack(2, 'node2', 10, 11)];
    expect(reignsOf(ack(1, 'node1', 0, 1), next, old).overlaps()).toEqual([{ old, next }]);
  });

  it('is wrong across several primaries, in whatever order the clients tell of it', () => {
    const [old, next] = [ack(1, 'node1', 12, 13), ack(3, 'node3', 10, 11)];
    expect(reignsOf(old, ack(2, 'node2', 20, 21), next).overlaps()).toEqual([
      { old, next },
      { old: ack(2, 'node2', 20, 21), next },
    ]);
  });

  it('is late, not wrong, when the write had been under way before', () => {
    const reigns = reignsOf(ack(1, 'node1', 9, 15), ack(2, 'node2', 10, 11));
    expect(reigns.overlaps()).toEqual([]);
    expect(reigns.latenessMs()).toEqual([4]);
  });

  it('is wrong when two nodes acknowledge on one timeline', () => {
    expect(reignsOf(ack(2, 'node1', 0, 1), ack(2, 'node2', 5, 6)).twins()).toEqual(['node1 and node2 both acknowledged on timeline 2']);
  });
});
