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
  readonly #deny: Rules;

  constructor(policy: OutboundPolicy) {
    this.policy = policy;
    const lists = typeof policy === "string" ? { allow: [] } : policy;
    this.#allow = parseRules(lists.allow);
    this.#deny = parseRules(("deny" in lists && lists.deny) || []);
  }

  /**
   * Checks a name before it is resolved, because a DNS query alone can carry data to a name server.
   *
   * @param port of a connection; without it, the name is denied if it is denied on every port
   * @returns why the policy denies the name, or `undefined` if it allows it
   */
  refuseName(host: string, port?: number): string | undefined {
    if (this.policy === "none") return NOTHING_ALLOWED;
    const { allow, deny } = { allow: this.#allow.names, deny: this.#deny.names };
    if (deny.some((rule) => matchesName(rule, host) && (rule.port ?? port) === port))
      return "the policy denies this name";
    if (host === HOST_NAME) {
      const opens = (rule: NetworkRule) =>
        rule.kind === "name" &&
        rule.host === host &&
        rule.port !== undefined &&
        rule.port === (port ?? rule.port);
      return allow.some(opens)
        ? undefined
        : `the server's machine needs a rule with a port, ${HOST_NAME}:PORT`;
    }
    if (isReservedName(host)) {
      const opens = (rule: NetworkRule) =>
        rule.kind !== "any" && matchesName(rule, host) && (rule.port ?? port) === (port ?? rule.port);
      return allow.some(opens)
        ? undefined
        : `a client's service needs a rule with its name, ${host}${port === undefined ? "" : `:${port}`}`;
    }
    const opens = (rule: NetworkRule) =>
      matchesName(rule, host) && (rule.port ?? port) === (port ?? rule.port);
    if (this.policy === "all" || allow.some(opens)) return undefined;
    return "the policy does not allow this name";
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
    if (guarded.check(address, kind) || ownAddresses().has(address)) {
      // Require a rule with the port: a rule for a range is not meant for services on this machine.
      const isNamedByPort = this.#allow.addresses.some(
        ({ list, port: only }) => only === port && list.check(address, kind),
      );
      return isNamedByPort
        ? undefined
        : "this machine, its link and metadata services need a rule with address and port";
    }
    if (name !== undefined || this.policy === "all" || matchesAddress(this.#allow, address, port))
      return undefined;
    return "the policy does not allow this address";
  }
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
