/**
 * A member whose file does not let it make a cluster says so while nobody makes one, and what to
 * write.
 */
import { describe, expect, it } from 'vitest';
import { memory, observation, pg, SYSTEM_ID, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';

const WAITING = 'waiting for leader to bootstrap';
const REFUSAL = "its configuration has no section 'bootstrap'; to let it, write 'bootstrap:'";

function said(initialize: string | null, bootstrapRefusal: string | null): { rule: string; because: string } {
  const whole = settings('a', {});
  const local = { ...whole.local, bootstrap: bootstrapRefusal === null ? whole.local.bootstrap : null, bootstrapRefusal };
  const seen = observation({ view: view({ initialize, members: [] }), pg: pg.none, settings: { ...whole, local } });
  const { rule, because } = decide(seen, memory());
  return { rule, because };
}

describe('without data and without a cluster', () => {
  it('the node says that it makes none, and which line would let it', () => {
    expect(said(null, REFUSAL)).toEqual({ rule: 'data.wait', because: `${WAITING}; this member makes no new cluster: ${REFUSAL}` });
  });

  it('the node only waits where another one is making it, or has made it', () => {
    expect(said('', REFUSAL)).toEqual({ rule: 'data.wait', because: WAITING });
    expect(said(SYSTEM_ID, REFUSAL)).toEqual({ rule: 'data.wait', because: WAITING });
  });

  it('the node makes it where its file lets it', () => {
    expect(said(null, null).rule).toBe('data.bootstrap');
  });
});
