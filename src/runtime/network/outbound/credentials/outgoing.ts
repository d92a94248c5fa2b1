import { decoded } from "../../../../base/decoded.ts";
import { canonicalName, endToEnd } from "../../requests/end-to-end.ts";
import type { Placeholders } from "./placeholders.ts";
import type { Credential } from "./rules.ts";

/** Headers that a masked response needs: whole, and in bytes that the server can read. */
const UNMASKABLE = ["accept-encoding", "grpc-accept-encoding", "range", "if-range"];

/** Returns the headers of a request on its way out, with those of credentials in place of the program's. */
export function outgoingHeaders(
  rawHeaders: readonly string[],
  way: {
    authority: string;
    credentials: readonly Credential[];
    placeholders: Placeholders;
    isMasked: boolean;
  },
): Record<string, string[]> {
  const { authority, credentials, placeholders, isMasked } = way;
  const added = new Map(
    credentials.flatMap(({ headers }) =>
      headers.map(([name, value]): [string, string] => [name.toLowerCase(), value]),
    ),
  );
  // A program must not send another spelling of an added header, which its receiver may prefer.
  const taken = new Set([
    ...["host", "expect", "content-length"],
    ...(isMasked ? UNMASKABLE : []),
    ...[...added.keys()].map(canonicalName),
  ]);
  const headers: Record<string, string[]> = Object.create(null);
  for (const [name, value] of endToEnd(rawHeaders)) {
    if (taken.has(canonicalName(name))) continue;
    headers[name] ??= [];
    headers[name].push(placeholders.inHeader(name, value));
  }
  // The policy allowed this host. A Host header of the program would name another site at the same address.
  headers.host = [authority.replace(/^.*@/, "")];
  if (isMasked) headers["accept-encoding"] = ["identity"];
  for (const [name, value] of added) headers[name] = [value];
  return headers;
}

/** Returns the path and query of a request on its way out, with the parameters of credentials in place of the program's. */
export function outgoingTarget(
  target: string,
  credentials: readonly Credential[],
  placeholders: Placeholders,
): string {
  const replaced = placeholders.inTarget(target);
  const added = credentials.flatMap(({ query }) => query);
  if (added.length === 0) return replaced;
  const [path = "", query = ""] = replaced.replace(/#.*$/s, "").split(/\?(.*)/s);
  const names = new Set(added.map(([name]) => name));
  const kept = query.split("&").filter((pair) => pair !== "" && !names.has(nameIn(pair)));
  const own = added.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  return `${path}?${[...kept, ...own].join("&")}`;
}

function nameIn(pair: string): string {
  const name = pair.replace(/=.*$/s, "");
  return decoded(name.replaceAll("+", " ")) ?? name;
}
