/** The Peers port of one agent over the simulated network. */
import type { Member } from '../../src/core/cluster.ts';
import type { PeerFacts } from '../../src/core/peer-facts.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Peers } from '../../src/ports/peers.ts';
import type { Gate, Simulation } from './clock.ts';
import type { Network } from './network.ts';

export interface PeerParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly name: string;
  readonly gate: Gate;
  readonly clock: Pick<Clock, 'timer'>;
  readonly find: (name: string) => { readonly up: boolean; askedByPeer(reply: (facts: PeerFacts | null) => void): void } | null;
}

/** Asks the other agents as REST would: each asks its PostgreSQL again. */
export function simPeers({ sim, net, name: me, gate, clock, find }: PeerParts): Peers {
  const ask = (members: readonly Member[], { timeoutMs }: { readonly timeoutMs: number }) =>
    new Promise<ReadonlyMap<string, PeerFacts>>((resolve) => {
      const answers = new Map<string, PeerFacts>();
      let open = members.length;
      const done = () => {
        cancel();
        resolve(answers);
      };
      const cancel = clock.timer(timeoutMs, done);
      const one = () => {
        open -= 1;
        if (open === 0) done();
      };
      if (open === 0) return done();
      for (const { name } of members) {
        if (!net.up(me, name)) continue;
        sim.after(net.delay(), () => {
          const peer = find(name);
          if (peer === null || !peer.up) return;
          peer.askedByPeer((facts) =>
            sim.after(net.delay(), () => {
              if (!net.up(name, me)) return;
              gate.deliver('message', () => {
                if (facts !== null) answers.set(name, facts);
                one();
              });
            }),
          );
        });
      }
    });
  return { ask, close: () => undefined };
}
