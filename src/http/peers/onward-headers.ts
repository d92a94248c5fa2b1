import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { gatewayPath, parseGateway } from "../../api/gateway-path.ts";
import { decoded } from "../../base/decoded.ts";
import { parseJson } from "../../base/json.ts";
import { protocolText } from "../../client/rivet/handle.ts";
import { canonicalName, endToEnd } from "../../runtime/network/requests/end-to-end.ts";
import { PEER_HEADER, PROOF_HEADER } from "./seal.ts";

const PARAMS_PROTOCOL = "rivet_conn_params.";

/** Headers that a server reads itself, or that no client may set. */
const DROPPED: ReadonlySet<string> = new Set([
  "content-length",
  "expect",
  "x-rivet-token",
  PEER_HEADER,
  PROOF_HEADER,
]);

/** Returns the target of a request without the token that its path may have. */
export function onwardUrl(url: string): string {
  const target = parseGateway(url);
  return target === undefined ? url : gatewayPath(target.actorId, target.rest);
}

/**
 * Returns the headers with which another server gets a request. Tokens of this server stay here: the signature carries the
 * rights of the sender.
 *
 * @param isOurs says of an `Authorization` header whether its token is one of the server
 */
export function onwardHeaders(
  { rawHeaders, socket }: IncomingMessage,
  isOurs: (authorization: string) => boolean,
): OutgoingHttpHeaders {
  const headers: Record<string, string[]> = Object.create(null);
  for (const [name, value] of endToEnd(rawHeaders)) {
    if (DROPPED.has(canonicalName(name))) continue;
    if (name === "authorization" && isOurs(value)) continue;
    headers[name] ??= [];
    headers[name].push(withoutToken(name, value, isOurs));
  }
  const from = [...(headers["x-forwarded-for"] ?? []), socket.remoteAddress].filter(Boolean).join(", ");
  if (from !== "") headers["x-forwarded-for"] = [from];
  headers["x-forwarded-proto"] ??= ["encrypted" in socket ? "https" : "http"];
  // Node takes the host as one value only.
  return { ...headers, ...(headers.host && { host: headers.host[0] }) };
}

/** Removes a token of the server from the parameters of a connection. */
function withoutToken(name: string, value: string, isOurs: (authorization: string) => boolean): string {
  if (name === "x-rivet-conn-params") return JSON.stringify(withoutParam(parseJson(value), isOurs));
  if (name !== "sec-websocket-protocol") return value;
  return value
    .split(",")
    .map((part) => part.trim())
    .map((part) => {
      if (!part.startsWith(PARAMS_PROTOCOL)) return part;
      const params = withoutParam(parseJson(decoded(part.slice(PARAMS_PROTOCOL.length)) ?? ""), isOurs);
      return `${PARAMS_PROTOCOL}${protocolText(JSON.stringify(params))}`;
    })
    .join(", ");
}

function withoutParam(params: unknown, isOurs: (authorization: string) => boolean): unknown {
  if (typeof params !== "object" || params === null || !("token" in params)) return params ?? null;
  const { token, ...rest } = params;
  return typeof token === "string" && !isOurs(`Bearer ${token}`) ? params : rest;
}
