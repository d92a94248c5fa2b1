import { canonicalHost } from "../../../api/network-rule.ts";

/** Headers that the server adds to requests for one origin, and how it connects to that origin. */
export interface AddedHeaders {
  isTls: boolean;
  port: number;
  headers: Record<string, string>;
}

/**
 * Returns the added headers by `host:port` as a program in the VM names it. A bare host means https on port 443: the
 * program requests `http://host`, and the server connects with TLS.
 */
export function addedHeaders(given: Record<string, Record<string, string>>): Map<string, AddedHeaders> {
  const found = new Map<string, AddedHeaders>();
  for (const [key, headers] of Object.entries(given)) {
    const url = new URL(key.includes("://") ? key : `https://${key}`);
    const host = canonicalHost(url.hostname);
    if (host === undefined) continue;
    const isTls = url.protocol === "https:";
    const port = Number(url.port) || (isTls ? 443 : 80);
    const added = { isTls, port, headers };
    found.set(`${host}:${port}`, added);
    if (isTls && port === 443) found.set(`${host}:80`, added);
  }
  return found;
}
