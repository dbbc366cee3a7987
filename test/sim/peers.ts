/** The Peers port of one agent over the simulated network. */
import type { PeerFacts } from '../../src/core/peer-facts.ts';
import { readPeerBody } from '../../src/dialect/peer-body.ts';
import { statusBody } from '../../src/dialect/status-body.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { OperatorPort } from '../../src/ports/operator.ts';
import type { FailsafeQuestion, Peers, Reached } from '../../src/ports/peers.ts';
import type { Gate, Simulation } from './clock.ts';
import type { Network } from './network.ts';

/** A machine, as its REST API is reached. */
export interface AskedPeer {
  readonly up: boolean;
  askedByPeer(reply: (facts: PeerFacts | null) => void): void;
  askedForFailsafe(from: string, question: FailsafeQuestion, reply: (refusal: string | null) => void): void;
}

const SILENT = 'does not answer';

export interface PeerParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly name: string;
  readonly gate: Gate;
  readonly clock: Pick<Clock, 'timer'>;
  readonly find: (name: string) => AskedPeer | null;
}

/** GET /patroni, as the asker reads it. */
export async function peerAnswer(operator: OperatorPort, name: string): Promise<PeerFacts | null> {
  const status = await operator.statusNow();
  return readPeerBody(name, statusBody(status, operator.view(), operator.settings()));
}

/** POST /failsafe; null: it agrees. */
export async function failsafeAnswer(operator: OperatorPort, question: FailsafeQuestion): Promise<string | null> {
  const { name, connUrl, apiUrl, slots, ttlSeconds } = question;
  const answer = await operator.askedForFailsafe({ name, conn_url: connUrl, api_url: apiUrl, slots, ttl: ttlSeconds });
  return answer.kind === 'accepted' ? null : answer.kind;
}

/** Asks the other agents as REST would: each asks its PostgreSQL again. */
export function simPeers({ sim, net, name: me, gate, clock, find }: PeerParts): Peers {
  const ask = (members: readonly Reached[], { timeoutMs }: { readonly timeoutMs: number }) =>
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
  const agree: Peers['agree'] = (members, question, { timeoutMs }) =>
    Promise.all(Object.keys(members).map(async (name) => ({ name, refusal: await askTwice(name, question, timeoutMs) })));
  const askTwice = async (name: string, question: FailsafeQuestion, timeoutMs: number) => {
    const refusal = await askOnce(name, question, timeoutMs);
    return refusal === SILENT ? askOnce(name, question, timeoutMs) : refusal;
  };
  const askOnce = (name: string, question: FailsafeQuestion, timeoutMs: number) =>
    new Promise<string | null>((resolve) => {
      const cancel = clock.timer(timeoutMs, () => resolve(SILENT));
      if (!net.up(me, name)) return;
      sim.after(net.delay(), () => {
        const peer = find(name);
        if (peer === null || !peer.up) return;
        peer.askedForFailsafe(me, question, (refusal) =>
          sim.after(net.delay(), () => {
            if (!net.up(name, me)) return;
            gate.deliver('message', () => {
              cancel();
              resolve(refusal);
            });
          }),
        );
      });
    });
  // Every machine finds the others without a resolver here.
  return { prepare: () => undefined, ask, agree, close: () => undefined };
}
