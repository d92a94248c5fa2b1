import type { Server } from "node:net";
import type { Interception, Reach } from "../../network.ts";
import type { Entry } from "../commands/command.ts";
import { HelperLost } from "../helpers/helper-process.ts";
import { FIRST_GIVEN_FD, type Passed, passSockets, portOf } from "./passed-sockets.ts";

/** DNS over TCP has a socket of its own, whatever the policy. */
const DNS_PORT = 53;

/**
 * Leads a VM's connections to the policy's ports, and its DNS questions, to sockets of the server in a network namespace
 * behind the VM's. It needs no nf_tables. The helper ends when they are set up.
 *
 * @throws HelperLost if the host's kernel or programs cannot do it
 */
export async function openGateway(
  entry: Entry,
  reach: Reach,
  passed: Passed,
  signal: AbortSignal,
): Promise<Interception> {
  const target = { ...entry, perl: entry.tools.perl };
  const { connections, questions } = passed;
  await passSockets(target, { program: "gateway", args: [0, ...portsOf(reach)] }, passed, signal);
  return {
    questions,
    hasIpv6: connections.some((server) => addressOf(server).includes(":")),
    close: () => passed.close(),
    lead: async (to) => {
      const ports = portsOf(to);
      const listening = new Set(connections.map(portOf));
      const further = ports.filter((port) => !listening.has(port));
      if (further.length > 0) {
        const run = { args: [FIRST_GIVEN_FD, ...further], descriptors: [descriptorOf(connections)] };
        await passSockets(target, { program: "gateway", ...run }, passed, signal);
      }
      for (const server of connections.filter((one) => !ports.includes(portOf(one)))) {
        connections.splice(connections.indexOf(server), 1);
        server.close();
      }
    },
  };
}

const portsOf = ({ ports }: Reach) => [...new Set([DNS_PORT, ...ports])];

function addressOf(server: Server): string {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.address : "";
}

/** A descriptor by which the helper finds the gateway. */
function descriptorOf(servers: readonly (Server & { _handle?: { fd?: number } | null })[]): number {
  const fd = servers.find(({ listening }) => listening)?._handle?.fd;
  if (fd === undefined || fd < 0) throw new HelperLost("the gateway has no socket any more");
  return fd;
}
