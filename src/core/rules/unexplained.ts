/**
 * A live process in postmaster.pid that nobody can explain. PostgreSQL may be behind it, so the
 * server does not count as stopped: nothing is started, led, replaced or given back. If this node
 * has the leader key, it ends with its lease (core/guard-order.ts), after the guard has stopped
 * what it knows of.
 */
import type { Context } from '../context.ts';
import { describeUnexplained } from '../postgres-facts.ts';
import { always, type Section } from './table.ts';

const process = ({ o }: Context) => (o.pg.unexplained === undefined ? '' : describeUnexplained(o.pg.unexplained));

export const unexplainedProcess: Section = {
  title: 'A process that is not explained',
  situation: 'postmaster.pid names a live process that is not known as our PostgreSQL and not proven to be unrelated to it; no job runs',
  when: (c) => c.o.pg.unexplained !== undefined && c.o.job === null,
  rules: [
    {
      id: 'unexplained.end',
      situation: 'the agent was asked to end',
      when: (c) => c.o.requests.shutdown,
      ask: (c) => ({
        // The guard stays where a lease may still be counted on: it has a deadline.
        effects: [{ kind: 'exit', code: c.lockMine && !c.paused ? 1 : 0, message: `ending; ${process(c)}: it is left as it is` }],
      }),
      because: 'ending; a process that is not known is left as it is',
    },
    {
      id: 'unexplained.wait',
      situation: 'otherwise',
      when: always,
      ask: (c) => ({
        wakeInMs: 1000,
        because: `nothing is started, led or replaced here: ${process(c)}. Stop it, or correct postgresql.bin_dir and bin_name; if it has nothing to do with PostgreSQL, end it, or remove postmaster.pid`,
      }),
      because: 'nothing is started, led or replaced here, because of a process in postmaster.pid that is not known',
    },
  ],
};
