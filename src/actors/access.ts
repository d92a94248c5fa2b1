import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { AgentVmError } from "../api/errors.ts";

/** Who may talk to a server. */
export interface AccessPolicy {
  /** When set, everything needs it and nothing else matters. */
  readonly token?: string | undefined;
  /** Web pages, besides those on loopback, that a server without a token answers, e.g. `"https://app.example"`. */
  readonly allowedOrigins: readonly string[];
  /** Requests come through a Rivet Engine, which has checked them: their Host says nothing. */
  readonly behindEngine: boolean;
  /** Where clients reach the server, for the URLs that it tells them. */
  readonly endpoint?: string | undefined;
  /** Lets this process's own calls through; made anew at each start, so that it is worth nothing on disk. */
  readonly secret: string;
}

/** What the policy looks at. Header names are lower case. */
export interface AccessRequest {
  header(name: string): string | null | undefined;
  /** Path of the request, for the token of `/gateway/ACTOR@TOKEN/...`. */
  path: string;
  /** Connection parameters, where they are known apart from the headers. */
  params?: unknown;
  /** `true` for a request that came over the network; in-process calls have no Host. */
  external: boolean;
}

/** What holds for an actor that our `setup()` has not taken up: loopback only. */
export const DEFAULT_POLICY: AccessPolicy = { allowedOrigins: [], behindEngine: false, secret: randomUUID() };

/** Where an actor definition finds the policy of the server it runs in. */
export interface PolicyHolder {
  policy: AccessPolicy;
}

const holders = new WeakMap<object, PolicyHolder>();

/** Makes a definition known, so that `setup()` can hand it the server's policy. */
export function holdPolicy(definition: object, holder: PolicyHolder): void {
  holders.set(definition, holder);
}

/** Whether a definition is a vmActor(). */
export function isVmDefinition(definition: object): boolean {
  return holders.has(definition);
}

/**
 * Gives a definition the server's policy; one that is not ours has its own.
 *
 * @throws Error when another server has taken the definition up: its token would silently change.
 */
export function bindPolicy(definition: object, policy: AccessPolicy): void {
  const holder = holders.get(definition);
  if (!holder) return;
  if (holder.policy !== DEFAULT_POLICY)
    throw new Error("A vmActor() belongs to one setup(): make another one");
  holder.policy = policy;
}

/**
 * The one rule of who may talk to a server.
 *
 * With a token: whoever presents it, in the connection's params, as `x-rivet-token`, as a bearer token or in the
 * gateway's path. Without: loopback only. The Host must be a loopback name, so that a foreign name that resolves to
 * 127.0.0.1 (DNS rebinding) is refused, and a request that a web page makes must come from a loopback page or from an
 * allowed origin, because any page can send one that needs no preflight. The server itself has no pages but those of
 * previews, whose programs come out of VMs: pages on its own port are refused, unless that origin is allowed.
 *
 * @returns the error to answer with, or `undefined` when the request is welcome.
 */
export function refusal(policy: AccessPolicy, request: AccessRequest): AgentVmError | undefined {
  const { token, secret } = policy;
  const presented = presentedTokens(request);
  if (presented.some((value) => sameToken(value, secret))) return undefined;
  if (token !== undefined) {
    if (presented.some((value) => sameToken(value, token))) return undefined;
    return new AgentVmError("unauthorized", "The server needs a token, and this request has no valid one");
  }
  if (policy.behindEngine || !request.external) return undefined;
  const host = request.header("host");
  if (!host || !/^[\w.:[\]-]+$/.test(host) || !isLoopback(`http://${host}`)) {
    return forbidden(`Host ${JSON.stringify(host ?? "")} is not a loopback name`, { host });
  }
  const origin = request.header("origin");
  const site = request.header("sec-fetch-site");
  if (origin) {
    if (policy.allowedOrigins.includes(origin)) return undefined;
    if (isLoopback(origin) && portOf(origin) !== portOf(`http://${host}`)) return undefined;
    return forbidden(`Origin ${JSON.stringify(origin)} is not allowed`, { origin });
  }
  // A page's <img> or <form method=get> sends no Origin, but says that it is another site's.
  if (site === "cross-site" || (site === "same-origin" && !policy.allowedOrigins.includes(`http://${host}`)))
    return forbidden("Requests of other sites, and of this server's previews, are not allowed");
  return undefined;
}

function forbidden(message: string, metadata: Record<string, unknown> = {}): AgentVmError {
  return new AgentVmError("forbidden_origin", message, metadata);
}

function presentedTokens(request: AccessRequest): string[] {
  const bearer = /^Bearer (.+)$/i.exec(request.header("authorization") ?? "")?.[1];
  const inPath = /\/gateway\/[^/@]+@([^/?#]+)/.exec(request.path)?.[1];
  return [
    tokenOfParams(request.params),
    tokenOfParams(parseJson(request.header("x-rivet-conn-params"))),
    request.header("x-rivet-token"),
    bearer,
    inPath === undefined ? undefined : decode(inPath),
  ].filter((token) => typeof token === "string");
}

function tokenOfParams(params: unknown): string | undefined {
  if (typeof params !== "object" || params === null || !("token" in params)) return undefined;
  return typeof params.token === "string" ? params.token : undefined;
}

/** Equal in constant time, whatever their lengths: digests are compared. */
function sameToken(presented: string, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(presented), digest(token));
}

/** Whether a URL's host is this machine itself. */
export function isLoopback(url: string): boolean {
  const hostname = URL.canParse(url) ? new URL(url).hostname : "";
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function portOf(url: string): string {
  const { port, protocol } = new URL(url);
  return port || (protocol === "https:" ? "443" : "80");
}

function parseJson(text: string | null | undefined): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // RivetKit itself answers malformed parameters; they carry no token.
    return undefined;
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not a URL-encoded text, hence not the token.
    return undefined;
  }
}
