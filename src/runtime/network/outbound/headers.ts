import { canonicalHost } from "../../../api/network-rule.ts";

/** Headers that the server adds to requests for one origin, and how it goes there. */
export interface AddedHeaders {
  isTls: boolean;
  port: number;
  headers: Record<string, string>;
}

/**
 * Credentials at the border, by `host:port` as a program inside names it. A bare host stands for https on 443: the
 * program says `http://host`, and the server goes on with TLS.
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
