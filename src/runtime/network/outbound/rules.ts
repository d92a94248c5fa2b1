import { BlockList } from "node:net";
import { networkInterfaces } from "node:os";
import { canonicalHost, kindOf, type NetworkRule, parseNetworkRule } from "../../../api/network-rule.ts";
import type { OutboundPolicy } from "../../../api/types.ts";

/** What no policy opens by a name or a range alone: this machine, its neighbours on the link, clouds' metadata. */
const PROTECTED: [address: string, bits: number][] = [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["168.63.129.16", 32],
  ["100.100.100.200", 32],
  ["224.0.0.0", 3],
  // Unspecified, loopback, and IPv4 addresses in all their disguises.
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

/** How long this machine's own addresses are taken for the same, in milliseconds. */
const ADDRESSES_MS = 5_000;
let own = { addresses: new Set<string>(), readAt: Number.NEGATIVE_INFINITY };

interface Rules {
  names: NetworkRule[];
  addresses: { list: BlockList; port: number | undefined }[];
}

/** An outbound policy, ready to judge by. */
export class OutboundRules {
  readonly policy: OutboundPolicy;
  readonly #allow: Rules;
  readonly #deny: Rules;

  constructor(policy: OutboundPolicy) {
    this.policy = policy;
    const lists = typeof policy === "string" ? { allow: [] } : policy;
    this.#allow = sorted(lists.allow);
    this.#deny = sorted(("deny" in lists && lists.deny) || []);
  }

  /**
   * Whether a name may be resolved at all: a question to a name server carries what is asked to whoever runs it.
   *
   * @returns why not.
   */
  refuseName(host: string, port: number): string | undefined {
    if (this.policy === "none") return "the policy allows no outside network";
    if (matchesName(this.#deny, host, port)) return "the policy denies this name";
    if (this.policy === "all" || matchesName(this.#allow, host, port)) return undefined;
    return "the policy does not allow this name";
  }

  /**
   * Whether an address may be connected to.
   *
   * @param isNamed it is what an allowed name stands for.
   * @returns why not.
   */
  refuseAddress(address: string, port: number, isNamed: boolean): string | undefined {
    if (this.policy === "none") return "the policy allows no outside network";
    const kind = kindOf(address);
    if (kind === "name") return "this is no address";
    if (matchesAddress(this.#deny, address, port)) return "the policy denies this address";
    if (guarded.check(address, kind) || ownAddresses().has(address)) {
      // Only with its port: whoever allows a range does not mean the server beside it.
      const isNamedByPort = this.#allow.addresses.some(
        ({ list, port: only }) => only === port && list.check(address, kind),
      );
      return isNamedByPort ? undefined : "this machine, its link and metadata services are out of bounds";
    }
    if (isNamed || this.policy === "all" || matchesAddress(this.#allow, address, port)) return undefined;
    return "the policy does not allow this address";
  }
}

function sorted(texts: readonly string[]): Rules {
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

function matchesName({ names }: Rules, host: string, port: number): boolean {
  return names.some(({ kind, host: wanted, port: only }) => {
    if (only !== undefined && only !== port) return false;
    return kind === "any" || (kind === "below" ? host.endsWith(`.${wanted}`) : host === wanted);
  });
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
