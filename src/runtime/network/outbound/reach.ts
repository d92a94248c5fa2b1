import type { OutboundPolicy } from "../../../api/methods/network.ts";
import { parseNetworkRule } from "../../../api/network-rule.ts";
import type { Reach } from "../../sandbox/network.ts";
import { MAX_LED_PORTS } from "../limits.ts";

/** Ports that a rule without a port leads, if the host cannot lead all: ssh, http and https. */
const USUAL_PORTS = [22, 80, 443];

/** Returns the places and ports of a policy's rules that the set-up of a VM's network depends on. */
export function reachOf(policy: OutboundPolicy): Reach {
  if (typeof policy === "string") return { places: [], ports: policy === "all" ? USUAL_PORTS : [] };
  const rules = [...policy.allow, ...(policy.ask ?? [])].flatMap((text) => parseNetworkRule(text) ?? []);
  const places = rules.flatMap(({ kind, host, bits, port }) => {
    const isPlace = kind === "ipv4" && host.startsWith("127.") && bits >= 8 && port !== undefined;
    return isPlace ? [{ address: host, bits, port }] : [];
  });
  const ports = new Set(rules.flatMap(({ port }) => port ?? USUAL_PORTS));
  return { places, ports: [...ports].slice(0, MAX_LED_PORTS) };
}
