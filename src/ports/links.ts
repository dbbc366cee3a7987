/**
 * Short messages between agents, over connections that stay open. A message costs microseconds, not
 * an exchange of HTTP. A connection demands of the one who opens it what the REST API demands of
 * whoever changes something: the allowlist, the client certificate, the password. It is checked
 * when the connection is opened, not with each message.
 */
import type { Member } from '../core/cluster.ts';
import type { Knock } from '../core/quorum/link-facts.ts';
import type { JsonObject } from '../support/json.ts';

export type { Knock };

export interface LinkListener {
  /**
   * Answers a message of the agent `from` in the same turn of the event loop or later; null: with
   * nothing. Never throws. `from` is what the caller calls himself: who may open a connection may
   * take any name. Questions of one agent come in the order in which it asked them; each at most
   * once, and perhaps long after the asker has given up (this process or the network stood still).
   */
  readonly asked: (from: string, message: JsonObject) => JsonObject | null | Promise<JsonObject | null>;
  /**
   * The last connection that `from` had opened to this agent has ended: its process is gone, or it
   * has closed it, or its machine has acknowledged nothing for about 15 s. Not when `from` has
   * replaced the connection by another one.
   */
  readonly lost: (from: string) => void;
}

export interface Links {
  /** Called once, before the first message is sent. Until then this agent refuses connections. */
  listen(listener: LinkListener): void;
  /**
   * Sends a message to a member's agent and resolves to its answer. Null: none came in time, the
   * connection broke or could not be made, too much that was sent before waits to be taken, the
   * message is larger than 1 MiB, or the member speaks another dialect. It may have arrived all the
   * same. Opens a connection where there is none, and waits for that within the time; tries follow
   * each other after 200 ms at least, after 2 s where the member has refused. Where it has the
   * connection, a message is on its way when this returns. Messages to one member arrive in order.
   * Never throws.
   */
  ask(member: Member, message: JsonObject, options: { readonly timeoutMs: number }): Promise<JsonObject | null>;
  /**
   * Tries the port of a member's agent. `answered` proves only that its machine's kernel lives and
   * that a process has the port open: the kernel also takes connections for one that is frozen.
   * Never throws.
   */
  knockAgent(member: Member, options: { readonly timeoutMs: number }): Promise<Knock>;
  /**
   * Tries the port of a member's PostgreSQL on a fresh connection, without logging in. `answered`:
   * the postmaster has made a process for the connection, and that has spoken; it says nothing of
   * whether the server takes queries. Never throws.
   */
  knockPostgres(member: Member, options: { readonly timeoutMs: number }): Promise<Knock>;
  /** Open questions are answered with null. */
  close(): void;
}
