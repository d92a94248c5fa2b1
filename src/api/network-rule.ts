/** One entry of an outbound policy's `allow` or `deny`. */
export interface NetworkRule {
  /** A canonical name, `*.` and a name for all below it, `*` for every name, or an address. */
  host: string;
  kind: "name" | "below" | "any" | "ipv4" | "ipv6";
  /** Length of an address's prefix. */
  bits: number;
  /** `undefined`: every port. */
  port: number | undefined;
}

/**
 * Reads `api.example.com`, `*.example.com:443`, `10.0.0.0/8:5432`, `[fd00::/8]:80` and their like.
 *
 * @returns `undefined` for anything else.
 */
export function parseNetworkRule(text: string): NetworkRule | undefined {
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

/**
 * The one spelling of a host: lower case, punycode, without a final dot; addresses dotted and in full, whichever way
 * they were written (`0x7f.1`, `2130706433`, `::ffff:127.0.0.1`). IPv6 without brackets.
 */
export function canonicalHost(host: string): string | undefined {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  const url = `http://${bare.includes(":") ? `[${bare}]` : bare}/`;
  if (bare === "" || /[\s/\\?#@%]/.test(bare) || !URL.canParse(url)) return undefined;
  const { hostname, port } = new URL(url);
  if (port !== "") return undefined;
  const name = hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(name);
  if (mapped === null) return name === "" || name.length > 253 ? undefined : name;
  const words = [mapped[1], mapped[2]].map((word) => Number.parseInt(word ?? "0", 16));
  return words.flatMap((word) => [word >> 8, word & 255]).join(".");
}

/** Of a canonical host. */
export function kindOf(host: string): "name" | "ipv4" | "ipv6" {
  if (host.includes(":")) return "ipv6";
  return /^\d+(\.\d+){3}$/.test(host) ? "ipv4" : "name";
}
