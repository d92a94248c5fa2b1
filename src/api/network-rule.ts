/** Name of the machine that the server runs on, whose loopback a rule with this name and a port opens. */
export const HOST_NAME = "host.agent-vm";

/** Characters of a host with its scheme and port. A name has 253, and an address may have zeros in front. */
const MAX_HOST_CHARS = 512;

/** Names below which clients offer services of their machines inside a VM. No name server is asked for them. */
export const OFFER_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.agent-vm$/;

/** Returns whether a canonical name is `agent-vm` or below it. No name server is asked for such a name. */
export function isReservedName(host: string): boolean {
  return host === "agent-vm" || host.endsWith(".agent-vm");
}

/** Rule of an outbound policy's `allow` or `deny`. */
export interface NetworkRule {
  /** Canonical name or address; `*` for the kind `any`. */
  host: string;
  /** `below`: every name below `host`. `any`: every name and address. */
  kind: "name" | "below" | "any" | "ipv4" | "ipv6";
  /** Length of an address's prefix; 0 for names. */
  bits: number;
  /** Port; `undefined` for every port. */
  port: number | undefined;
}

/**
 * Parses a rule such as `api.example.com`, `*.example.com:443`, `10.0.0.0/8:5432` or `[fd00::/8]:80`.
 *
 * @returns `undefined` for text that is not a rule
 */
export function parseNetworkRule(text: string): NetworkRule | undefined {
  if (text.length > MAX_HOST_CHARS) return undefined;
  const [, bracketed, plain, portText] =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ??
    /^()([\da-fA-F:.]+(?:\/\d+)?)()$/.exec(text) ??
    [];
  const target = bracketed || plain;
  if (target === undefined) return undefined;
  const port = portText ? Number(portText) : undefined;
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  if (target === "*") return { host: "*", kind: "any", bits: 0, port };
  const isBelow = target.startsWith("*.");
  const [, host = "", bitsText] = /^(.*?)(?:\/(\d{1,3}))?$/.exec(isBelow ? target.slice(2) : target) ?? [];
  const canonical = canonicalHost(host);
  if (canonical === undefined) return undefined;
  const kind = kindOf(canonical);
  if (kind === "name") {
    if (bitsText !== undefined || canonical.includes("*")) return undefined;
    return { host: canonical, kind: isBelow ? "below" : "name", bits: 0, port };
  }
  const longest = kind === "ipv4" ? 32 : 128;
  const bits = bitsText === undefined ? longest : Number(bitsText);
  if (isBelow || bits > longest) return undefined;
  return { host: canonical, kind, bits, port };
}

/** A host that gets secrets, and how the server reaches it. */
export interface SecretHost {
  /** Canonical name or address. */
  host: string;
  /** `true` for every name below `host`, and not the host itself. */
  isBelow: boolean;
  isTls: boolean;
  port: number;
}

/**
 * Parses a host or origin such as `api.example.com`, `*.example.com:8443` or `http://intranet.example:8080`. Without a scheme it is
 * https.
 *
 * @returns `undefined` for text that is neither
 */
export function parseSecretHost(text: string): SecretHost | undefined {
  if (text.length > MAX_HOST_CHARS) return undefined;
  const [, scheme = "https", below, authority] = /^(?:(https?):\/\/)?(\*\.)?([^/?#@\s*]+)$/.exec(text) ?? [];
  if (authority === undefined || !URL.canParse(`${scheme}://${authority}`)) return undefined;
  const url = new URL(`${scheme}://${authority}`);
  const host = canonicalHost(url.hostname);
  if (host === undefined || (below !== undefined && kindOf(host) !== "name")) return undefined;
  const isTls = scheme === "https";
  return { host, isBelow: below !== undefined, isTls, port: Number(url.port) || (isTls ? 443 : 80) };
}

/** Returns whether a rule can open services of the server's own machine: a rule for addresses with a port, or for its name. */
export function opensHost(text: string): boolean {
  const { kind, host, port } = parseNetworkRule(text) ?? {};
  return port !== undefined && (kind === "ipv4" || kind === "ipv6" || host === HOST_NAME);
}

/**
 * Returns the canonical spelling of a host: lower case, punycode, no final dot, IPv6 without brackets. Every spelling of an
 * IPv4 address (`0x7f.1`, `2130706433`, `::ffff:127.0.0.1`) becomes dotted decimal.
 *
 * @returns `undefined` for text that is not a host
 */
export function canonicalHost(host: string): string | undefined {
  if (host.length > MAX_HOST_CHARS) return undefined;
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  const url = `http://${bare.includes(":") ? `[${bare}]` : bare}/`;
  if (bare === "" || /[\s/\\?#@%]/.test(bare) || !URL.canParse(url)) return undefined;
  const { hostname, port } = new URL(url);
  if (port !== "") return undefined;
  const name = hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(name);
  // A resolver drops the final dots of a name, so a name with two of them would pass a rule that denies it.
  if (mapped === null) return name.split(".").includes("") || name.length > 253 ? undefined : name;
  const words = [mapped[1], mapped[2]].map((word) => Number.parseInt(word ?? "0", 16));
  return words.flatMap((word) => [word >> 8, word & 255]).join(".");
}

/** Returns the kind of a canonical host. */
export function kindOf(host: string): "name" | "ipv4" | "ipv6" {
  if (host.includes(":")) return "ipv6";
  return /^\d+(\.\d+){3}$/.test(host) ? "ipv4" : "name";
}
