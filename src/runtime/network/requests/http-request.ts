import type { ClientRequestArgs, OutgoingHttpHeaders } from "node:http";
import { validateHeaderName, validateHeaderValue } from "node:http";
import { invalidArgument } from "../../../api/errors.ts";
import type { VmFetchOptions } from "../../../api/methods/network.ts";
import { toBytes } from "../../../base/bytes.ts";
import { canonicalName } from "./end-to-end.ts";

/** Headers of one connection only, and headers that this side sets itself. */
const OWN_HEADERS = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "content-length",
  "te",
  "trailer",
  "upgrade",
  "expect",
]);

/** Returns the path and query for a request line. Ignores the host of a full URL. */
function requestPath(pathOrUrl: string): string {
  if (/^\/[\x21-\x22\x24-\x7e]*$/.test(pathOrUrl)) return pathOrUrl;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(pathOrUrl)
    ? pathOrUrl
    : `http://localhost${pathOrUrl.startsWith("/") ? "" : "/"}${pathOrUrl}`;
  if (!URL.canParse(text) || !/^https?:/i.test(text)) {
    throw invalidArgument("path", "a path or an http URL", pathOrUrl);
  }
  const { pathname, search } = new URL(text);
  return pathname + search;
}

/** Builds the request to a port of the VM. */
export function requestOptions(
  port: number,
  pathOrUrl: string,
  { method = "GET", headers = {}, body }: VmFetchOptions,
): { request: ClientRequestArgs; body: Uint8Array | undefined } {
  const verb = method.toUpperCase();
  if (!/^[A-Z][A-Z0-9_-]{0,31}$/.test(verb) || verb === "CONNECT" || verb === "TRACE") {
    throw invalidArgument("method", "an HTTP method other than CONNECT and TRACE", method);
  }
  const bytes = verb === "GET" || verb === "HEAD" || body === undefined ? undefined : toBytes(body);
  const outgoing = headersOf(headers);
  if (bytes !== undefined) outgoing["content-length"] = bytes.byteLength;
  const request = { host: "localhost", port, path: requestPath(pathOrUrl), method: verb, headers: outgoing };
  return { request, body: bytes };
}

function headersOf(given: NonNullable<VmFetchOptions["headers"]>): OutgoingHttpHeaders {
  const headers: Record<string, string[]> = Object.create(null);
  for (const [name, value] of Array.isArray(given) ? given : Object.entries(given)) {
    const key = name.toLowerCase();
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw invalidArgument("headers", "HTTP header names and values", `${name}: ${value}`);
    }
    if (OWN_HEADERS.has(canonicalName(name))) continue;
    if (key === "host" && headers.host !== undefined)
      throw invalidArgument("headers", "at most one Host", value);
    headers[key] ??= [];
    headers[key].push(value);
  }
  return Object.fromEntries(
    Object.entries(headers).map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}
