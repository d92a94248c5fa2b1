import { canonicalHost } from "../../../../api/network-rule.ts";
import type { Destination } from "../destination.ts";

/** Parses `host:port`, `[::1]:80` or `user@host:port`, and drops the user. */
export function parseAuthority(
  authority: string,
  defaultPort: number | undefined,
): Pick<Destination, "host" | "port"> | undefined {
  const [, host, port] = /^(?:[^@]*@)?(\[[^\]]+\]|[^:@[\]]+)(?::(\d{1,5}))?$/.exec(authority) ?? [];
  if (host === undefined || (port === undefined && defaultPort === undefined)) return undefined;
  return { host, port: port === undefined ? (defaultPort as number) : Number(port) };
}

/** Returns whether a `Host` header names a destination of https. */
export function isSameHost(named: string, { host, port }: Destination): boolean {
  const found = parseAuthority(named, 443);
  return found !== undefined && found.port === port && canonicalHost(found.host) === canonicalHost(host);
}
