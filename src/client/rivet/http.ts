import { gatewayPath } from "../../api/gateway-path.ts";
import type { Encoding, Server } from "./config.ts";
import { type Download, type DownloadRequest, download } from "./download.ts";
import { RequestError, RivetError, unreachable } from "./errors.ts";
import { decodeError } from "./messages.ts";
import { fromBase64, fromJson, toBase64, toCbor, toJson } from "./values.ts";

/** Header with a token. Web pages cannot set it on a WebSocket, so RivetKit also takes tokens in the path. */
const TOKEN_HEADER = "x-rivet-token";

/** Time for the server to find or make an actor, in milliseconds. */
const LOOKUP_TIMEOUT_MS = 30_000;

/** Servers behind one engine. */
const MAX_RUNNERS = 10_000;

/** An actor as the server lists it. */
export interface ListedActor {
  actor_id: string;
  name: string;
  /** Key as text, as `keyText` writes it. */
  key: string;
  /** Time at which it was destroyed, if it was. */
  destroy_ts?: number | null;
  /** Times of its creation, of its start while it runs, and of its falling asleep while it sleeps. */
  create_ts?: number;
  connectable_ts?: number | null;
  sleep_ts?: number | null;
  /** Reason why the actor did not start. */
  error?: unknown;
}

/** Codes of Node's errors for a connection that the server has closed. */
const CUT_CODES: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

/** A request to the server's list of actors. */
interface ActorsRequest {
  method: "GET" | "POST" | "PUT";
  query?: Record<string, string>;
  body?: object;
}

/** An actor that may have to be made. */
export interface NewActor {
  name: string;
  key: readonly string[];
  input?: unknown;
  region?: string | undefined;
  /** Pool of servers. @default that of the server's address */
  pool?: string;
}

/** @returns the actors that match a query */
export async function findActors(server: Server, query: Record<string, string>): Promise<ListedActor[]> {
  try {
    return ((await askActors(server, { method: "GET", query })) as { actors: ListedActor[] }).actors;
  } catch (error) {
    if (error instanceof RivetError && error.group === "actor" && error.code === "not_found") return [];
    throw error;
  }
}

/** @returns the newest actors of a Rivet Engine. @param query `cursor`: a time in milliseconds, before which they were made */
export async function listActors(
  server: Server,
  query: { name: string; limit: string; cursor?: string },
): Promise<ListedActor[]> {
  const answer = await askActors(server, { method: "GET", query });
  return (answer as { actors: ListedActor[] }).actors;
}

/** @returns the servers that run actors for a Rivet Engine now, each with what it tells about itself */
export async function listRunners(server: Server): Promise<{ metadata?: unknown }[]> {
  const query = { limit: String(MAX_RUNNERS), include_stopped: "false" };
  const answer = await askEngine(server, "/runners", { method: "GET", query });
  return (answer as { runners: { metadata?: unknown }[] }).runners;
}

/** @returns a value that an actor has stored in a Rivet Engine; `undefined` for an unknown key */
export async function readStored(
  server: Server,
  actorId: string,
  key: Uint8Array,
): Promise<Uint8Array | undefined> {
  try {
    const path = `/actors/${actorId}/kv/keys/${encodeURIComponent(toBase64(key))}`;
    const { value } = (await askEngine(server, path, { method: "GET" })) as { value: string };
    return fromBase64(value);
  } catch (error) {
    if (error instanceof RivetError && error.code === "kv_key_not_found") return undefined;
    throw error;
  }
}

/** Makes an actor. @param method `PUT` also answers the actor that has the key already. @returns the actor's id */
export async function makeActor(server: Server, method: "POST" | "PUT", actor: NewActor): Promise<string> {
  const { name, key, input, region, pool = server.runnerName } = actor;
  const body = {
    datacenter: region,
    name,
    key: keyText(key),
    runner_name_selector: pool,
    input: input ? toBase64(toCbor(input)) : undefined,
    crash_policy: "sleep",
  };
  return ((await askActors(server, { method, body })) as { actor: ListedActor }).actor.actor_id;
}

function askActors(server: Server, request: ActorsRequest): Promise<unknown> {
  return askEngine(server, "/actors", request);
}

async function askEngine(
  server: Server,
  path: string,
  { method, query, body }: ActorsRequest,
): Promise<unknown> {
  const { endpoint, headers, token, namespace } = server;
  const init = {
    method,
    headers: {
      ...headers,
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body && { "content-type": "application/json" }),
    },
    body: body ? toJson(body) : null,
    credentials: "include",
    signal: AbortSignal.timeout(LOOKUP_TIMEOUT_MS),
  } satisfies RequestInit;
  const ask = () =>
    send(new Request(`${endpoint}${path}?${new URLSearchParams({ ...query, namespace })}`, init));
  const response = await ask().catch((error: unknown) => {
    // While this thread was busy, the server has closed a connection that the runtime kept for the next request.
    if (method !== "POST" && wasCut(error)) return ask();
    throw error;
  });
  return await answerOf(response, "json", (data) => fromJson(new TextDecoder().decode(data)));
}

/** @returns the text of a key in RivetKit's requests */
export function keyText(key: readonly string[]): string {
  if (key.length === 0) return "/";
  return key.map((part) => (part === "" ? "\\0" : part.replace(/[\\/]/g, "\\$&"))).join("/");
}

/** @returns the key of which `keyText` has made a text */
export function keyParts(text: string): string[] {
  if (text === "/") return [];
  const parts = [""];
  for (const token of text.match(/\\.|[^\\]/gs) ?? []) {
    if (token === "/") parts.push("");
    else if (token !== "\\0") parts[parts.length - 1] += token.length === 2 ? token.charAt(1) : token;
  }
  return parts;
}

/** @returns the URL of an actor behind the server's gateway */
export function gatewayUrl({ endpoint, token }: Server, actorId: string, path = ""): string {
  return `${endpoint}${gatewayPath(actorId, path, token)}`;
}

/** Asks an actor for bytes. */
export async function bytesOfActor(
  server: Server,
  actorId: string,
  path: string,
  { headers, ...options }: Omit<DownloadRequest, "url">,
): Promise<Download> {
  const { token } = server;
  const all = { ...headers, ...server.headers, ...(token && { [TOKEN_HEADER]: token }) };
  return await download({ url: gatewayUrl(server, actorId, path), headers: all, ...options });
}

/** Sends a request to an actor. */
export async function askActor(
  server: Server,
  actorId: string,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(server.headers)) headers.set(name, value);
  if (server.token) headers.set(TOKEN_HEADER, server.token);
  return await send(new Request(gatewayUrl(server, actorId, path), { ...init, headers }));
}

async function send(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw request.signal.reason;
    throw unreachable(request.url, error);
  }
}

function wasCut(error: unknown): boolean {
  return error instanceof RequestError && CUT_CODES.has(Object(Object(error.cause).cause).code);
}

/**
 * Decodes the answer to a request.
 *
 * @throws RivetError the error that the answer carries
 * @throws RequestError for an answer that is not RivetKit's
 */
export async function answerOf<Answer>(
  response: Response,
  encoding: Encoding,
  decode: (data: Uint8Array) => Answer,
): Promise<Answer> {
  const data = await response.arrayBuffer().then(
    (buffer) => new Uint8Array(buffer),
    (error: unknown) => {
      throw new RequestError("The connection to the server broke", { cause: error });
    },
  );
  if (!response.ok) throw errorIn(response, encoding, data);
  try {
    return decode(data);
  } catch (error) {
    throw new RequestError(`The answer of the server cannot be decoded: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Characters of a foreign answer that an error shows. */
const SHOWN_CHARACTERS = 1_000;

function errorIn({ headers, status, statusText }: Response, encoding: Encoding, data: Uint8Array): Error {
  const isJson = headers.get("content-type")?.includes("application/json");
  try {
    const { group, code, message, metadata } = decodeError(isJson ? "json" : encoding, data);
    return new RivetError(group, code, message, metadata);
  } catch {
    const text = new TextDecoder().decode(data).slice(0, SHOWN_CHARACTERS);
    return new RequestError(`The server answered with status ${status} ${statusText}: ${text}`);
  }
}
