import { describe, expect, it } from 'vitest';
import { SCENARIOS, SYSTEMS } from './options.ts';
import { sessionsOf } from './sessions.ts';
import type { System } from './systems.ts';

const system = (id: System['id']): System => ({
  id,
  title: id,
  agent: () => ({ file: '', args: [] }),
  synchronousMode: 'on',
  hasRouter: false,
});
const options = { runs: 2, idleSeconds: 30, systems: SYSTEMS, scenarios: SCENARIOS, jsonFile: null };

describe('the clusters of a benchmark', () => {
  it('take turns between the systems, and idle once', () => {
    const sessions = sessionsOf(options, [system('regent'), system('patroni')]);
    expect(sessions.map((one) => `${one.system.id} ${one.timing.ttl}`)).toEqual(
      Array.from({ length: 2 }, () => [
        'regent 30',
        'patroni 30',
        'regent 20',
        'patroni 20',
        'regent 5',
        'patroni 5',
        ...Array.from({ length: 3 }, () => ['regent 30', 'patroni 30']).flat(),
      ]).flat(),
    );
    for (const idle of ['idle', 'sync-idle'] as const) expect(sessions.filter((one) => one.scenarios.includes(idle))).toHaveLength(2);
    expect(sessions.filter((one) => one.timing.synchronous === true)).toHaveLength(12);
  });

  it('are built for what was asked for alone', () => {
    const sessions = sessionsOf({ ...options, scenarios: ['node-5', 'idle'] }, [system('regent')]);
    expect(sessions.map((one) => one.scenarios)).toEqual([['idle'], ['node-5'], ['node-5']]);
  });
});
