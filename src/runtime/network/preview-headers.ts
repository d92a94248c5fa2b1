/** What belongs to one connection only (RFC 9110, section 7.6.1). */
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

/** Says of a response what only the owner of the whole origin may say, which is not this app. */
const NOT_THE_APPS = new Set([
  "service-worker-allowed",
  "clear-site-data",
  "alt-svc",
  "strict-transport-security",
]);

type Pair = [name: string, value: string];

export interface PreviewRequestHead {
  rawHeaders: readonly string[];
  port: number;
  /** Path of the preview as the browser sees it, without a final slash. */
  prefix: string;
  remoteAddress: string | undefined;
  isEncrypted: boolean;
}

/** A browser's headers as the app gets them: for a server on localhost, with what is true outside in X-Forwarded-*. */
export function requestHeaders(head: PreviewRequestHead): Record<string, string[]> {
  const pairs = endToEnd(head.rawHeaders);
  const headerOf = (wanted: string) => pairs.find(([name]) => name === wanted)?.[1];
  const host = headerOf("host") ?? "localhost";
  const local = `localhost:${head.port}`;
  const scheme = headerOf("x-forwarded-proto") ?? (head.isEncrypted ? "https" : "http");
  const headers: Record<string, string[]> = Object.create(null);
  const client = [headerOf("x-forwarded-for"), head.remoteAddress].filter(Boolean).join(", ");
  for (const [name, value] of pairs) {
    // A server's token must not reach a VM, nor may anybody speak for this server.
    if (name.startsWith("x-rivet-") || name.startsWith("x-forwarded-") || name === "forwarded") continue;
    if (name === "expect" || name === "host") continue;
    headers[name] ??= [];
    headers[name].push(localized(name, value, { host, local, prefix: head.prefix }));
  }
  return Object.assign(headers, {
    host: [local],
    ...(client === "" ? {} : { "x-forwarded-for": [client] }),
    "x-forwarded-host": [host],
    "x-forwarded-proto": [scheme],
    "x-forwarded-prefix": [head.prefix],
  });
}

/** Frameworks compare Origin and Referer with Host: they are told in the app's own terms. */
function localized(
  name: string,
  value: string,
  { host, local, prefix }: { host: string; local: string; prefix: string },
): string {
  if ((name !== "origin" && name !== "referer") || !URL.canParse(value)) return value;
  const url = new URL(value);
  if (url.host !== host) return value;
  if (name === "origin") return `http://${local}`;
  const path = url.pathname.startsWith(`${prefix}/`) ? url.pathname.slice(prefix.length) : "/";
  return `http://${local}${path}${url.search}`;
}

/** An app's headers as the browser gets them: paths below the preview, and readable by pages of any origin. */
export function responseHeaders(raw: readonly string[], port: number, prefix: string): string[] {
  const pairs = endToEnd(raw).filter(([name]) => !NOT_THE_APPS.has(name));
  const has = (wanted: string) => pairs.some(([name]) => name === wanted);
  const rewritten = pairs.map(([name, value]): Pair => {
    if (name === "location" || name === "content-location") return [name, below(value, port, prefix)];
    if (name === "set-cookie") return [name, cookieBelow(value, prefix)];
    return [name, value];
  });
  if (!has("access-control-allow-origin")) rewritten.push(["access-control-allow-origin", "*"]);
  // The token in the path is for nobody else.
  if (!has("referrer-policy")) rewritten.push(["referrer-policy", "same-origin"]);
  return rewritten.flat();
}

/** An absolute path, or a URL of the app's own server, below the preview's path. */
function below(location: string, port: number, prefix: string): string {
  if (/^\/(?![/\\])/.test(location)) return prefix + location;
  if (!URL.canParse(location)) return location;
  const { host, pathname, search, hash } = new URL(location);
  const isOwn = [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, `0.0.0.0:${port}`].includes(host);
  return isOwn ? prefix + pathname + search + hash : location;
}

/** For this preview alone: without a domain, and with a path below its own. */
function cookieBelow(cookie: string, prefix: string): string {
  const [pair = "", ...attributes] = cookie.split(";");
  let path = "/";
  const kept = attributes.filter((attribute) => {
    const [name = "", value = ""] = attribute.split("=", 2);
    const key = name.trim().toLowerCase();
    if (key === "path" && value.trim().startsWith("/")) path = value.trim();
    return key !== "path" && key !== "domain";
  });
  return [pair, ...kept, ` Path=${prefix}${path}`].join(";");
}

/** Header pairs, names in lower case, without those of one connection. */
export function endToEnd(raw: readonly string[]): [name: string, value: string][] {
  const pairs: Pair[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    pairs.push([(raw[index] as string).toLowerCase(), raw[index + 1] as string]);
  }
  const named = pairs
    .filter(([name]) => name === "connection")
    .flatMap(([, value]) => value.split(",").map((token) => token.trim().toLowerCase()));
  return pairs.filter(([name]) => !HOP_BY_HOP.has(name) && !named.includes(name));
}
