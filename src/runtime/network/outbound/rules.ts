import { BlockList } from "node:net";
import { networkInterfaces } from "node:os";
import type { OutboundPolicy } from "../../../api/methods/network.ts";
import {
  canonicalHost,
  HOST_NAME,
  isReservedName,
  kindOf,
  type NetworkRule,
  parseNetworkRule,
} from "../../../api/network-rule.ts";

/** Ranges that a name or a range without a port cannot open: this machine, its link, and metadata services of clouds. */
const PROTECTED: [address: string, bits: number][] = [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["168.63.129.16", 32],
  ["100.100.100.200", 32],
  ["192.0.0.192", 32],
  ["224.0.0.0", 3],
  // Unspecified, loopback, and all IPv6 forms of IPv4 addresses.
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2001::", 32],
  ["2002::", 16],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
  ["fd00:ec2::", 32],
  ["fd00:42::42", 128],
  ["fd20:ce::254", 128],
];

const guarded = new BlockList();
for (const [address, bits] of PROTECTED) guarded.addSubnet(address, bits, familyOf(address));

/** Milliseconds for which the list of this machine's own addresses is cached. */
const ADDRESSES_MS = 5_000;
let own = { addresses: new Set<string>(), readAt: Number.NEGATIVE_INFINITY };

const NOTHING_ALLOWED = 'the policy "none" allows no outside network';

interface Rules {
  names: NetworkRule[];
  addresses: { list: BlockList; port: number | undefined }[];
}

/** Checks names and addresses against an outbound policy. */
export class OutboundRules {
  readonly policy: OutboundPolicy;
  readonly #allow: Rules;
  readonly #ask: Rules;
  readonly #deny: Rules;

  constructor(policy: OutboundPolicy) {
    this.policy = policy;
    const { allow, ask = [], deny = [] } = typeof policy === "string" ? { allow: [] } : policy;
    this.#allow = parseRules(allow);
    this.#ask = parseRules(ask);
    this.#deny = parseRules(deny);
  }

  /**
   * Checks a name before it is resolved, because a DNS query alone can carry data to a name server.
   *
   * @param port of a connection; without it, the name is denied if it is denied on every port
   * @returns why the policy denies the name, or `undefined` if it allows it
   */
  refuseName(host: string, port?: number): string | undefined {
    if (this.policy === "none") return NOTHING_ALLOWED;
    if (this.#deny.names.some((rule) => matchesName(rule, host) && (rule.port ?? port) === port))
      return "the policy denies this name";
    if (this.policy === "all" && host !== HOST_NAME && !isReservedName(host)) return undefined;
    if (opensName(this.#allow, host, port) || opensName(this.#ask, host, port)) return undefined;
    if (host === HOST_NAME) return `the server's machine needs a rule with a port, ${HOST_NAME}:PORT`;
    if (isReservedName(host))
      return `a client's service needs a rule with its name, ${host}${port === undefined ? "" : `:${port}`}`;
    return "the policy does not allow this name";
  }

  /**
   * Returns whether a destination needs an answer before each connection: a rule of `ask` opens it, and no rule of `allow`.
   *
   * @param host canonical name or address
   * @param port of a connection; without it, whether no port of a name is open without an answer
   */
  asks(host: string, port?: number): boolean {
    if (kindOf(host) === "name") {
      const isAsked = opensName(this.#ask, host, port) && !opensName(this.#allow, host, port);
      return isAsked && this.refuseName(host, port) === undefined;
    }
    if (port === undefined || opensAddress(this.#allow, host, port)) return false;
    return opensAddress(this.#ask, host, port) && this.refuseAddress(host, port, undefined) === undefined;
  }

  /**
   * Checks an address before the server connects to it.
   *
   * @param name allowed name that resolved to the address
   * @returns why the policy denies the address, or `undefined` if it allows it
   */
  refuseAddress(address: string, port: number, name: string | undefined): string | undefined {
    if (this.policy === "none") return NOTHING_ALLOWED;
    const kind = kindOf(address);
    if (kind === "name") return "not an IP address";
    if (matchesAddress(this.#deny, address, port)) return "the policy denies this address";
    if (name === HOST_NAME) return undefined;
    // A rule for the name does not open services on this machine. An answer about a name is none about its addresses.
    const asked = name === undefined && opensAddress(this.#ask, address, port);
    if (opensAddress(this.#allow, address, port) || asked) return undefined;
    if (isGuarded(address))
      return "this machine, its link and metadata services need a rule with address and port";
    return name !== undefined || this.policy === "all" ? undefined : "the policy does not allow this address";
  }
}

function opensName({ names }: Rules, host: string, port: number | undefined): boolean {
  return names.some((rule) => {
    const isHost = rule.kind === "name" && rule.port !== undefined;
    if (host === HOST_NAME && !isHost) return false;
    if (isReservedName(host) && rule.kind === "any") return false;
    return matchesName(rule, host) && (rule.port ?? port) === (port ?? rule.port);
  });
}

/** A rule for services on this machine needs a port: a rule for a range is not meant for them. */
function opensAddress(rules: Rules, address: string, port: number): boolean {
  if (!isGuarded(address)) return matchesAddress(rules, address, port);
  const kind = familyOf(address);
  return rules.addresses.some(({ list, port: only }) => only === port && list.check(address, kind));
}

function isGuarded(address: string): boolean {
  return guarded.check(address, familyOf(address)) || ownAddresses().has(address);
}

function parseRules(texts: readonly string[]): Rules {
  const rules: Rules = { names: [], addresses: [] };
  for (const text of texts) {
    const rule = parseNetworkRule(text);
    if (rule === undefined) continue;
    if (rule.kind === "ipv4" || rule.kind === "ipv6") {
      const list = new BlockList();
      list.addSubnet(rule.host, rule.bits, rule.kind);
      rules.addresses.push({ list, port: rule.port });
    } else rules.names.push(rule);
  }
  return rules;
}

function matchesName({ kind, host: wanted }: NetworkRule, host: string): boolean {
  return kind === "any" || (kind === "below" ? host.endsWith(`.${wanted}`) : host === wanted);
}

function matchesAddress({ addresses }: Rules, address: string, port: number): boolean {
  return addresses.some(
    ({ list, port: only }) => (only === undefined || only === port) && list.check(address, familyOf(address)),
  );
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

function ownAddresses(): Set<string> {
  const now = performance.now();
  if (now - own.readAt > ADDRESSES_MS) {
    const found = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const addresses = found.flatMap(({ address }) => canonicalHost(address.replace(/%.*$/, "")) ?? []);
    own = { addresses: new Set(addresses), readAt: now };
  }
  return own.addresses;
}
