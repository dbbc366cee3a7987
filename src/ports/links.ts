/**
 * Short messages between agents, over connections that stay open. A message costs microseconds, not
 * an exchange of HTTP. A connection demands of the one who opens it what the REST API demands of
 * whoever changes something: the allowlist, the client certificate, the password.
 */
import type { Member } from '../core/cluster.ts';
import type { JsonObject } from '../support/json.ts';

/** What a try to connect came to. */
export type Knock =
  /** The kernel lives, and no process listens there. */
  | 'refused'
  /** The process answers. */
  | 'answered'
  /** No answer in time: the node is dead, frozen or cut off, or the process hangs. */
  | 'silent';

export interface LinkListener {
  /**
   * Answers a message of the agent `from` in the same turn of the event loop or later; null: with
   * nothing. Never throws.
   */
  readonly asked: (from: string, message: JsonObject) => JsonObject | null | Promise<JsonObject | null>;
  /**
   * The last connection that `from` had opened to this agent has ended: its process is gone, or it
   * has closed it.
   */
  readonly lost: (from: string) => void;
}

export interface Links {
  /** Called once, before the first message is sent. */
  listen(listener: LinkListener): void;
  /**
   * Sends a message to a member's agent and resolves to its answer. Null: none came in time, the
   * connection broke, or the member speaks another dialect. Opens a connection where there is none.
   * Messages to one member arrive in order. Never throws.
   */
  ask(member: Member, message: JsonObject, options: { readonly timeoutMs: number }): Promise<JsonObject | null>;
  /** Tries the port of a member's agent. Never throws. */
  knockAgent(member: Member, options: { readonly timeoutMs: number }): Promise<Knock>;
  /**
   * Tries the port of a member's PostgreSQL on a fresh connection, without logging in. Never
   * throws.
   */
  knockPostgres(member: Member, options: { readonly timeoutMs: number }): Promise<Knock>;
  close(): void;
}
