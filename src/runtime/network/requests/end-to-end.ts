/** Lower-case name and value of a header. */
export type HeaderPair = [name: string, value: string];

/** Headers of one connection only (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** Headers that `Connection` cannot remove: the receiver needs them to read and route a message. */
const KEPT = new Set([
  "host",
  "content-length",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/**
 * Returns header pairs with lower-case names, without the hop-by-hop headers. Also drops the aliases of headers that frame
 * or route a message, such as `content_length`.
 */
export function endToEnd(raw: readonly string[]): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    pairs.push([(raw[index] as string).toLowerCase(), raw[index + 1] as string]);
  }
  const named = new Set(
    pairs
      .filter(([name]) => name === "connection")
      .flatMap(([, value]) => value.split(",").map((token) => token.trim().toLowerCase())),
  );
  return pairs.filter(([name]) => {
    const canonical = canonicalName(name);
    if (HOP_BY_HOP.has(canonical)) return false;
    return KEPT.has(canonical) ? name === canonical : !named.has(name);
  });
}

/**
 * Returns the name under which a program may see a header. CGI and its successors map `X-Api-Key`, `x_api_key` and
 * `X.Api.Key` to one variable.
 */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "-");
}

/** Returns the values of a header in raw headers, in order. @param wanted its name in lower case */
export function headerValues(raw: readonly string[], wanted: string): string[] {
  return raw.filter((_, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === wanted);
}
