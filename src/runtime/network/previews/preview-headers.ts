import { canonicalName, endToEnd, type HeaderPair } from "../requests/end-to-end.ts";
import { AppCookies, withoutDomain } from "./app-cookies.ts";
import { type PreviewCors, withCors } from "./cors.ts";

/** Response headers that affect more than a preview: all that the browser knows of a domain or a port. */
const SITE_WIDE_HEADERS = new Set([
  ...["clear-site-data", "alt-svc", "strict-transport-security"],
  // With these a browser reports the URLs of other previews and of the console to any address.
  ...["nel", "report-to"],
  // The browser would ask the app before each request to the domain.
  ...["secure-session-registration", "sec-session-registration"],
]);

/** The app behind a preview, and the pages that may read it. */
export interface PreviewApp {
  port: number;
  /** `Host` header for the app. @default `localhost:PORT` */
  host?: string | undefined;
  cors?: PreviewCors;
  /** Whether the app has no origin of its own, so that its cookies would be the API's. */
  hasNoCookies?: boolean;
}

interface PreviewRequestHead extends Pick<PreviewApp, "port" | "host"> {
  rawHeaders: readonly string[];
  /** Path of the preview as the browser sees it, without a final slash. Empty for a preview with a host name. */
  prefix: string;
  remoteAddress: string | undefined;
  isEncrypted: boolean;
}

/**
 * Rewrites a browser's headers for an app on localhost. X-Forwarded-* carry the original host, scheme and client. The
 * caller adds the framing of the body.
 */
export function requestHeaders(head: PreviewRequestHead): Record<string, string[]> {
  const pairs = endToEnd(head.rawHeaders);
  const cookies = head.prefix === "" ? undefined : new AppCookies(head.prefix);
  const headerOf = (wanted: string) => pairs.find(([name]) => name === wanted)?.[1];
  const host = headerOf("host") ?? "localhost";
  const local = head.host ?? `localhost:${head.port}`;
  const scheme = headerOf("x-forwarded-proto") ?? (head.isEncrypted ? "https" : "http");
  const headers: Record<string, string[]> = Object.create(null);
  const client = [headerOf("x-forwarded-for"), head.remoteAddress].filter(Boolean).join(", ");
  for (const [name, value] of pairs) {
    // The server's token must not reach the VM, and a browser must not set the server's own headers.
    const canonical = canonicalName(name);
    if (/^(x-rivet-|x-forwarded-|forwarded$)/.test(canonical)) continue;
    // The request's framing is set apart from its headers.
    if (canonical === "expect" || canonical === "host" || canonical === "content-length") continue;
    const shown = name === "cookie" && cookies !== undefined ? cookies.toApp(value) : value;
    if (shown === undefined) continue;
    headers[name] ??= [];
    headers[name].push(localized(name, shown, { host, local, prefix: head.prefix }));
  }
  const outside = {
    "x-forwarded-host": [host],
    "x-forwarded-proto": [scheme],
    ...(head.prefix !== "" && { "x-forwarded-prefix": [head.prefix] }),
  };
  // Next and Rails compare Origin with X-Forwarded-Host, Django, SvelteKit and webpack with Host. So both must be local.
  const isPosted = head.prefix === "" && headers.origin?.[0] === `http://${local}`;
  return Object.assign(headers, {
    host: [local],
    ...(client === "" ? {} : { "x-forwarded-for": [client] }),
    ...(!isPosted && outside),
  });
}

/** Rewrites Origin and Referer to the app's own host, because frameworks compare them with Host. */
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

/** Headers with which a page below the server's own origin would reach the server's own pages. */
const OWN_ORIGIN_HEADERS = new Set(["service-worker-allowed", "cross-origin-opener-policy"]);

/**
 * Rewrites an app's headers for the browser: moves paths below the preview's, and allows pages to read.
 *
 * @param origin origin of the page that asks; `undefined` for none
 */
export function responseHeaders(
  raw: readonly string[],
  app: PreviewApp,
  prefix: string,
  origin?: string,
): string[] {
  const isOwnOrigin = prefix === "";
  const pairs = endToEnd(raw).filter(
    ([name]) =>
      !SITE_WIDE_HEADERS.has(name) &&
      (isOwnOrigin || !OWN_ORIGIN_HEADERS.has(name)) &&
      !(app.hasNoCookies && name === "set-cookie"),
  );
  const cookies = isOwnOrigin ? undefined : new AppCookies(prefix);
  const has = (wanted: string) => pairs.some(([name]) => name === wanted);
  const moved = pairs.map(([name, value]): HeaderPair => {
    if (name === "location" || name === "content-location") return [name, below(value, app, prefix)];
    if (name === "set-cookie") return [name, cookies?.toBrowser(value) ?? withoutDomain(value)];
    return [name, value];
  });
  const rewritten = withCors(moved, app.cors, origin);
  // Other sites must not see the token in the URL.
  if (!has("referrer-policy")) rewritten.push(["referrer-policy", "same-origin"]);
  return rewritten.flat();
}

/** Moves an absolute path, or a URL of the app's own server, below the preview's path. */
function below(location: string, { port, host: own }: PreviewApp, prefix: string): string {
  if (/^\/(?![/\\])/.test(location)) return prefix + location;
  if (!URL.canParse(location)) return location;
  const { host, pathname, search, hash } = new URL(location);
  const known = [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, `0.0.0.0:${port}`, own];
  if (!known.includes(host)) return location;
  // Two slashes at the start would name another host.
  const start = prefix === "" && pathname.startsWith("//") ? "/." : prefix;
  return start + pathname + search + hash;
}
