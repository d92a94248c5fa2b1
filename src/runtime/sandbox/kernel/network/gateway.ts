import type { Server } from "node:net";
import type { Interception, Reach } from "../../network.ts";
import type { Entry } from "../commands/command.ts";
import { HelperLost } from "../helpers/helper-process.ts";
import { addressOf, FIRST_GIVEN_FD, ipv4Number, type Passed, passSockets } from "./passed-sockets.ts";

/** DNS over TCP has a socket of its own, whatever the policy. */
const DNS_PORT = 53;

/** Sockets that listen at all addresses of the gateway have this address, or `::`. */
const ANY = "0.0.0.0";

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
  await passSockets(target, { program: "gateway", args: [0, ...argsOf(endsOf(reach))] }, passed, signal);
  return {
    questions,
    hasIpv6: connections.some((server) => addressOf(server).address === "::"),
    close: () => passed.close(),
    lead: async (to) => {
      const ends = endsOf(to);
      const open = new Set(connections.map((server) => keyOf(addressOf(server))));
      const further = ends.filter((end) => !open.has(keyOf(end)));
      if (further.length > 0) {
        const run = {
          args: [FIRST_GIVEN_FD, ...argsOf(further)],
          descriptors: [descriptorOf(connections)],
        };
        await passSockets(target, { program: "gateway", ...run }, passed, signal);
      }
      const wanted = new Set(ends.map(keyOf));
      for (const server of connections.filter((one) => !wanted.has(keyOf(addressOf(one))))) {
        connections.splice(connections.indexOf(server), 1);
        server.close();
      }
    },
  };
}

interface End {
  address: string;
  port: number;
}

/** Lists the sockets of a reach. A range of places would need one for each address. */
function endsOf({ ports, places }: Reach): End[] {
  const led = [...new Set([DNS_PORT, ...ports])].map((port) => ({ address: ANY, port }));
  return [...led, ...places.filter(({ bits }) => bits === 32)];
}

const argsOf = (ends: readonly End[]) => ends.flatMap(({ address, port }) => [ipv4Number(address), port]);

const keyOf = ({ address, port }: End) => `${address === "::" ? ANY : address}:${port}`;

/** A descriptor by which the helper finds the gateway. */
function descriptorOf(servers: readonly (Server & { _handle?: { fd?: number } | null })[]): number {
  const fd = servers.find((server) => addressOf(server).address === ANY)?._handle?.fd;
  if (fd === undefined || fd < 0) throw new HelperLost("the gateway has no socket any more");
  return fd;
}
