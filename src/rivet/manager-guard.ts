import { AgentVmError, actorTypeNotFound } from "../api/errors.ts";
import type { Manager } from "./driver.ts";
import { noopNext, type UserError } from "./rivetkit.ts";
import { userError } from "./user-error.ts";

/** Status of a request for an actor that another server has. */
export const MOVED = 421;

export type Context = Parameters<Manager["proxyRequest"]>[0];
export type GetUpgrade = Parameters<Manager["setGetUpgradeWebSocket"]>[0];

/** A request from the network. Header names are lower case. */
interface GuardedRequest {
  header(name: string): string | undefined;
  path: string;
  /** Connection parameters, if RivetKit passes them apart from the headers. */
  params?: unknown;
}

/** The sender of a request. */
export interface Visitor {
  /** @throws AgentVmError if it may not look up this actor */
  lookUp(name: string, key: readonly string[]): void;
  /** @throws AgentVmError if it may not make this actor */
  create(name: string, key: readonly string[], input: unknown): void;
  /** @throws AgentVmError if it may not see all actors */
  listAll(): void;
  /** Returns whether it may reach an actor. */
  reaches(actorId: string): boolean;
  /** Marks a request as let in, for the actor. */
  vouch(request: object): void;
}

/**
 * Decides which requests reach the manager.
 *
 * For RivetKit 2.2, whose manager is open to everybody.
 */
export interface ManagerGuard {
  /**
   * Lets a request in.
   *
   * @param message Node's message of the request, which other checks of the request share
   * @throws AgentVmError if the request is refused
   */
  admit(message: object, request: GuardedRequest): Promise<Visitor>;
  /** The server itself, which calls actors from actors. */
  readonly own: Visitor;
  /** Token of connections between actors of this process. Actors accept it. */
  readonly secret: string;
  /**
   * Checks the input of an actor that may be made.
   *
   * @param sender `isOwn`: whether an actor of this server makes it, and no client
   * @throws AgentVmError to refuse it
   */
  checkInput(name: string, input: unknown, sender: { isOwn: boolean }): void;
  /** Whether an actor is a VM, which takes no connection parameters but a token. */
  isVm(actorId: string): boolean;
  /** The actor names of the server. */
  readonly names: readonly string[];
}

/** Milliseconds after which a refused WebSocket is cut if it does not close. */
const REFUSAL_LINGER_MS = 1_000;

/** Returns the check of requests from the network. A call without a request is the server's own. */
export function admitterOf(guard: ManagerGuard) {
  return async (c: Context | undefined, params?: unknown): Promise<Visitor> => {
    if (c === undefined) return guard.own;
    // RivetKit's server keeps Node's message in `env`.
    const { incoming } = (c.env ?? {}) as { incoming?: object };
    const request = { header: (name: string) => c.req.header(name), path: c.req.path, params };
    return await coded(() => guard.admit(incoming ?? c.req.raw, request));
  };
}

/** A request for the actor of a key. */
export interface KeyRequest {
  name: string;
  key: readonly string[];
  input?: unknown;
  c?: Context | undefined;
}

/**
 * Returns the check of requests for the actor of a key. It refuses a name that the server does not have: RivetKit would store
 * an actor that can never start.
 */
export function keyAdmitterOf(guard: ManagerGuard) {
  const admit = admitterOf(guard);
  return async (need: "lookUp" | "create", { name, key, input, c }: KeyRequest): Promise<void> => {
    const visitor = await admit(c);
    await coded(async () => {
      if (!guard.names.includes(name)) throw actorTypeNotFound(name, guard.names);
      visitor[need](name, key, input);
    });
  };
}

/**
 * Returns the methods that list all actors, which needs a right, and that read an actor's storage, which nobody may.
 *
 * @param list RivetKit's own list of actors
 */
export function guardedReads(
  guard: ManagerGuard,
  list: Manager["listActors"],
): Pick<Manager, "listActors" | "kvGet"> {
  const admit = admitterOf(guard);
  return {
    async listActors(input) {
      const visitor = await admit(input.c);
      await coded(async () => visitor.listAll());
      return await list(input);
    },
    async kvGet() {
      throw userError(new AgentVmError("unauthorized", "An actor's storage is not readable from outside"));
    },
  };
}

/** Returns the reason with which a refused WebSocket is closed. */
export function reasonOf(error: unknown): string {
  const { code = "internal_error", metadata } = error as Partial<UserError>;
  const { reason } = (metadata ?? {}) as { reason?: string };
  return `user.${code}${reason === undefined ? "" : `#${reason}`}`;
}

/** Runs a check. Its errors become errors that a client may see. */
export async function coded<Value>(check: () => Promise<Value>): Promise<Value> {
  try {
    return await check();
  } catch (error) {
    throw error instanceof AgentVmError ? userError(error) : error;
  }
}

/** Hides the headers of a request, one of which may be a token, because RivetKit stores all of them with a connection. */
export function withoutStoredHeaders(c: Context): Context {
  const header = c.req.header.bind(c.req);
  Object.assign(c.req, { header: (name?: string) => (name === undefined ? {} : header(name)) });
  return c;
}

/** Opens a refused WebSocket and closes it with the reason. A peer cannot learn the reason in any other way. */
export async function closeAtOnce(
  c: Context,
  getUpgrade: GetUpgrade | undefined,
  reason: string,
): Promise<Response> {
  const upgrade = getUpgrade?.();
  if (!upgrade) return c.text(reason, 403);
  const closing = upgrade(() => ({
    onOpen(_event: unknown, socket: ServerSocket) {
      socket.close(1011, reason);
      // A peer that does not answer the close frame could keep sending for 30 s.
      setTimeout(() => socket.raw?.terminate?.(), REFUSAL_LINGER_MS).unref();
    },
  }));
  return (await closing(c, noopNext())) ?? c.text(reason, 403);
}

/** A WebSocket as Hono hands it out on Node. */
interface ServerSocket {
  close(code: number, reason: string): void;
  raw?: { terminate?(): void };
}
