import { createHash, timingSafeEqual } from "node:crypto";
import { AgentVmError, unauthorized } from "../api/errors.ts";
import { parseGateway } from "../api/gateway-path.ts";
import { decoded } from "../base/decoded.ts";
import { parseJson } from "../base/json.ts";
import type { PreviewHosts } from "./preview-hosts.ts";

/** Rules that decide which requests a server answers. */
export interface AccessPolicy {
  /** Token that every request must present. If it is set, no other rule applies. */
  readonly token?: string | undefined;
  /** Origins of web pages that a server without a token, or with `authorize`, answers: `"https://app.example"`. */
  readonly allowedOrigins: readonly string[];
  /** Whether the server runs behind a Rivet Engine. The engine has checked every request, and Host names the engine. */
  readonly behindEngine: boolean;
  /** URL under which clients reach the server; the server builds preview URLs with it. */
  readonly endpoint?: string | undefined;
  /** Host names of previews. A request to one of them never reaches the API. */
  readonly previewHosts?: PreviewHosts | undefined;
  /** Token of the server's own calls, which it never gives out: random, or derived from a secret that servers share. */
  readonly secret: string;
}

/** A request, as the policy sees it. Header names are lower case. */
export interface AccessRequest {
  header(name: string): string | null | undefined;
  /** Path of the request, which may carry a token: `/gateway/ACTOR@TOKEN/...`. */
  path: string;
  /** Connection parameters, if RivetKit passes them apart from the headers. */
  params?: unknown;
  /** Whether the request came over the network. Calls within the process have no Host. */
  external: boolean;
  /** Whether it came to this server itself, and not through a Rivet Engine. @default false */
  isDirect?: boolean;
}

/**
 * Decides whether a request may use the server.
 *
 * With a token, a request must present it: in the connection's params, as `x-rivet-token`, as a bearer token or in the
 * gateway's path.
 *
 * Without a token, only loopback is admitted:
 * - The Host must be a loopback name. A foreign name that resolves to 127.0.0.1 (DNS rebinding) is refused.
 * - A request from a web page must come from a loopback page or from an allowed origin. Any page can send a request that
 *   needs no preflight.
 * - Pages on the server's own port are refused unless that origin is allowed. The only pages there are previews, which
 *   come from programs in VMs.
 *
 * @returns the error to answer with; `undefined` admits the request.
 */
export function refusal(policy: AccessPolicy, request: AccessRequest): AgentVmError | undefined {
  const presented = presentedTokens(request);
  if (isOwner(policy, presented)) return undefined;
  if (policy.token !== undefined) {
    return presented.length === 0
      ? unauthorized("missing", "The request does not carry the server's token")
      : unauthorized("invalid", "The token is not the server's");
  }
  if ((policy.behindEngine && !request.isDirect) || !request.external) return undefined;
  const host = request.header("host");
  if (!host || !/^[\w.:[\]-]+$/.test(host) || !isLoopback(`http://${host}`)) {
    return forbidden(`Host ${JSON.stringify(host ?? "")} is not a loopback name`, { host });
  }
  return foreignPage(policy, request);
}

/**
 * Decides whether the page of a browser may use the server. A browser adds cookies, passwords and certificates to the
 * requests of any page, so they do not show that the user wants the request.
 *
 * @returns the error to answer with; `undefined` for allowed pages, and for clients that are not pages.
 */
export function foreignPage(
  { allowedOrigins }: AccessPolicy,
  request: AccessRequest,
): AgentVmError | undefined {
  const host = request.header("host") ?? "";
  const isLocal = isLoopback(`http://${host}`);
  const origin = request.header("origin");
  if (origin) {
    if (allowedOrigins.includes(origin)) return undefined;
    if (isLocal && isLoopback(origin) && portOf(origin) !== portOf(`http://${host}`)) return undefined;
    return forbidden(`Origin ${JSON.stringify(origin)} is not allowed`, { origin });
  }
  // A page's <img> or <form method=get> sends no Origin, but browsers add Sec-Fetch-Site.
  const site = request.header("sec-fetch-site");
  const isOwn = allowedOrigins.includes(`http://${host}`) || allowedOrigins.includes(`https://${host}`);
  if (site === "cross-site" || (site === "same-site" && !isLocal) || (site === "same-origin" && !isOwn))
    return forbidden("Requests from other sites and from this server's previews are not allowed");
  return undefined;
}

/** Returns whether one of these tokens is the server's or the process's own. */
export function isOwner(
  { token, secret }: Pick<AccessPolicy, "token" | "secret">,
  presented: readonly string[],
): boolean {
  return presented.some(
    (value) => sameToken(value, secret) || (token !== undefined && sameToken(value, token)),
  );
}

function forbidden(message: string, metadata: Record<string, unknown> = {}): AgentVmError {
  return new AgentVmError("forbidden_origin", message, metadata);
}

/** Returns every token that a request carries: in its connection parameters, its headers and its path. */
export function presentedTokens(request: AccessRequest): string[] {
  const inPath = parseGateway(request.path)?.token;
  return [
    tokenOfParams(request.params),
    tokenOfParams(parseJson(request.header("x-rivet-conn-params") ?? "")),
    request.header("x-rivet-token"),
    bearerOf(request.header("authorization")),
    // Text that is not URL-encoded cannot be the token.
    inPath ? decoded(inPath) : undefined,
  ].filter((token) => typeof token === "string");
}

/** Returns the token of an `Authorization` header. */
export function bearerOf(authorization: string | null | undefined): string | undefined {
  return /^Bearer (.+)$/i.exec(authorization ?? "")?.[1];
}

function tokenOfParams(params: unknown): string | undefined {
  if (typeof params !== "object" || params === null || !("token" in params)) return undefined;
  return typeof params.token === "string" ? params.token : undefined;
}

/** Compares digests, so that the time depends neither on the content nor on the length. */
function sameToken(presented: string, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(presented), digest(token));
}

/** @returns whether the host of a URL is a loopback address or `localhost`. */
export function isLoopback(url: string): boolean {
  const hostname = URL.canParse(url) ? new URL(url).hostname : "";
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function portOf(url: string): string {
  const { port, protocol } = new URL(url);
  return port || (protocol === "https:" ? "443" : "80");
}
