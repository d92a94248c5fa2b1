import type { Server } from "./config.ts";
import type { Download, DownloadRequest } from "./download.ts";
import { RivetError } from "./errors.ts";
import {
  answerOf,
  askActor,
  bytesOfActor,
  findActors,
  gatewayUrl,
  keyText,
  makeActor,
  type NewActor,
} from "./http.ts";
import { decodeQueued, decodeResult, encodeCall, encodeQueued } from "./messages.ts";
import type { ActionRequest, QueueOptions, RawConnection, RawHandle } from "./raw.ts";
import { openSocket, RivetConnection } from "./socket.ts";

/** Remedy for an id that names no actor. Nothing makes an actor of an id. */
const UNKNOWN_ID =
  "The VM of this id was destroyed, or the id is of another server. list() has the ids of all VMs.";

/** Options of the accessors that make a handle. */
export interface HandleOptions {
  /** Parameters of a connection, which the actor's server checks. @default none */
  params?: unknown;
  /** Returns the parameters of each new connection. @default `params` */
  getParams?: () => Promise<unknown>;
}

/** Names an actor: by its id, or by its key with the intention to make a missing actor or not. */
export type ActorQuery =
  | { readonly name: string; readonly actorId: string }
  | (NewActor & { readonly mayMake: boolean });

/** An actor by its key or id, in RivetKit's protocol. It looks up the id of a key once, and again when the actor is gone. */
export class RivetHandle implements RawHandle {
  readonly #server: Server;
  readonly #query: ActorQuery;
  readonly #options: HandleOptions;
  #lookup: Promise<string> | undefined;

  constructor(server: Server, query: ActorQuery, { params, getParams }: HandleOptions = {}) {
    this.#server = server;
    this.#query = query;
    this.#options = { params, ...(getParams && { getParams }) };
  }

  async resolve(): Promise<string> {
    if ("actorId" in this.#query) return this.#query.actorId;
    const lookup = this.#lookup ?? this.#lookUp(this.#query);
    this.#lookup = lookup;
    try {
      return await lookup;
    } catch (error) {
      if (this.#lookup === lookup) this.#lookup = undefined;
      throw error;
    }
  }

  async #lookUp(query: NewActor & { readonly mayMake: boolean }): Promise<string> {
    const { name, key, mayMake } = query;
    if (mayMake) return await makeActor(this.#server, "PUT", query);
    const [actor] = await findActors(this.#server, { name, key: keyText(key) });
    if (!actor) throw new RivetError("actor", "not_found", `Actor not found: ${name}:${JSON.stringify(key)}`);
    return actor.actor_id;
  }

  async action({ name, args, signal }: ActionRequest): Promise<unknown> {
    const { encoding } = this.#server;
    return await this.#ask(
      `/action/${encodeURIComponent(name)}`,
      encodeCall(encoding, args),
      (data) => decodeResult(encoding, data),
      signal,
    );
  }

  async send(name: string, body: unknown, options: QueueOptions = {}): Promise<unknown> {
    const { encoding } = this.#server;
    const { wait = false, timeout, signal } = options;
    const answer = await this.#ask(
      `/queue/${encodeURIComponent(name)}`,
      encodeQueued(encoding, { name, body, wait, timeout }),
      (data) => decodeQueued(encoding, data),
      signal,
    );
    return wait ? answer : undefined;
  }

  connect(): RawConnection {
    return new RivetConnection({
      encoding: this.#server.encoding,
      open: async () => await this.#openSocket("/connect", await this.#params()),
      isStale: (error) => this.#isStale(error),
      explain: (error) => this.#explain(error),
    });
  }

  async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const { path, ...request } = await requestOf(input, init);
    const { pathname, search } = new URL(`http://actor/request/${path.replace(/^\//, "")}`);
    const { params } = this.#options;
    if (params) request.headers.set("x-rivet-conn-params", headerText(params));
    return await this.#current((actorId) => askActor(this.#server, actorId, `${pathname}${search}`, request));
  }

  async download(path: string, options: Pick<DownloadRequest, "signal" | "room">): Promise<Download> {
    const { params } = this.#options;
    const headers: Record<string, string> = params ? { "x-rivet-conn-params": headerText(params) } : {};
    return await this.#current((actorId) =>
      bytesOfActor(this.#server, actorId, `/request/${path}`, { ...options, headers }),
    );
  }

  async webSocket(path = "", _protocols?: string | string[]): Promise<WebSocket> {
    const params = await this.#params();
    return await this.#openSocket(`/websocket/${path.replace(/^\//, "")}`, params, "bare");
  }

  async openAt(path: string, protocols: string[]): Promise<WebSocket> {
    const { token = this.#server.token } = Object(await this.#params()) as { token?: string };
    return await this.#current((actorId) =>
      openSocket(gatewayUrl({ ...this.#server, token }, actorId, path).replace(/^http/, "ws"), protocols),
    );
  }

  async getGatewayUrl(): Promise<string> {
    return await this.#current(async (actorId) => gatewayUrl(this.#server, actorId));
  }

  async #params(): Promise<unknown> {
    const { params, getParams } = this.#options;
    return getParams ? await getParams() : params;
  }

  /** Adds the token to parameters. A Rivet Engine does not pass on the token of a URL to the actor's server. */
  #withToken(params: unknown): unknown {
    const { token } = this.#server;
    const isRecord = typeof params === "object" && params !== null && !Array.isArray(params);
    if (token === undefined || (params !== undefined && params !== null && !isRecord)) return params;
    return { token, ...(params as object | null | undefined) };
  }

  async #openSocket(path: string, params: unknown, encoding = this.#server.encoding): Promise<WebSocket> {
    const protocols = ["rivet", `rivet_encoding.${encoding}`];
    const sent = this.#withToken(params);
    if (sent) protocols.push(`rivet_conn_params.${protocolText(JSON.stringify(sent))}`);
    return await this.#current((actorId) =>
      openSocket(gatewayUrl(this.#server, actorId, path).replace(/^http/, "ws"), protocols),
    );
  }

  /** Sends an encoded body to the actor and decodes the answer. */
  async #ask<Answer>(
    path: string,
    body: Uint8Array | string,
    decode: (data: Uint8Array) => Answer,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const { encoding } = this.#server;
    const { params } = this.#options;
    const headers = {
      "content-type": encoding === "json" ? "application/json" : "application/octet-stream",
      "x-rivet-encoding": encoding,
      ...(params !== undefined && { "x-rivet-conn-params": headerText(params) }),
    };
    return await this.#current(async (actorId) => {
      const init: RequestInit = { method: "POST", headers, body: body as Uint8Array<ArrayBuffer> | string };
      if (signal) init.signal = signal;
      return await answerOf(await askActor(this.#server, actorId, path, init), encoding, decode);
    });
  }

  /** Runs work with the actor's id, and once more with a new id if the actor of the first is gone. */
  async #current<Result>(work: (actorId: string) => Promise<Result>): Promise<Result> {
    try {
      return await work(await this.resolve());
    } catch (error) {
      if (!(error instanceof RivetError)) throw error;
      if (!this.#isStale(error)) throw await this.#explain(error);
    }
    return await work(await this.resolve());
  }

  /** Forgets the id of an actor that is gone. @returns whether another lookup may find an actor */
  #isStale({ group, code }: RivetError): boolean {
    if ("actorId" in this.#query || group !== "actor") return false;
    if (code !== "not_found" && !code.startsWith("destroyed_")) return false;
    this.#lookup = undefined;
    return true;
  }

  /** A Rivet Engine keeps the reason for which an actor did not start with the actor. An id that names no actor stays so. */
  async #explain(error: RivetError): Promise<RivetError> {
    const { group, code } = error;
    if ("actorId" in this.#query && group === "actor" && code === "not_found") {
      const { actorId } = this.#query;
      const metadata = { ...Object(error.metadata), actorId, hint: UNKNOWN_ID };
      return new RivetError(group, code, `Actor not found: ${actorId}`, metadata);
    }
    const isStart = group === "guard" && (code === "actor_ready_timeout" || code === "actor_runner_failed");
    return (isStart ? await this.startFailure(code) : undefined) ?? error;
  }

  async startFailure(code = "actor_ready_timeout"): Promise<RivetError | undefined> {
    try {
      const actorId = await this.resolve();
      const [actor] = await findActors(this.#server, { actor_ids: actorId });
      if (actor?.error === undefined || actor.error === null) return undefined;
      const text = `Actor failed to start (${actorId}): ${JSON.stringify(actor.error)}`;
      return new RivetError("guard", code, text, { actorId, details: actor.error });
    } catch {
      return undefined;
    }
  }
}

/** Writes a value as JSON in ASCII, which headers can carry. */
function headerText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Encodes a text for the name of a WebSocket protocol, which may have no parentheses. */
export function protocolText(text: string): string {
  return encodeURIComponent(text).replace(/[()]/g, (character) => (character === "(" ? "%28" : "%29"));
}

/** Takes a request apart, because its URL names no actor. `init` wins. */
async function requestOf(
  input: string | URL | Request,
  init: RequestInit,
): Promise<RequestInit & { path: string; headers: Headers }> {
  if (typeof input === "string") return { ...init, path: input, headers: new Headers(init.headers) };
  const { pathname, search } = input instanceof URL ? input : new URL(input.url);
  const path = `${pathname}${search}`;
  if (input instanceof URL) return { ...init, path, headers: new Headers(init.headers) };
  const headers = new Headers(input.headers);
  new Headers(init.headers).forEach((value, name) => void headers.set(name, value));
  const { method, signal } = input;
  const body = input.body && init.body === undefined ? { body: await input.arrayBuffer() } : {};
  return { method, signal, ...body, ...init, path, headers };
}
