import type { Interception, LoopbackPlace, Reach } from "../../network.ts";
import type { Entry } from "../commands/command.ts";
import { HelperLost } from "../helpers/helper-process.ts";
import { addressOf, ipv4Number, type Passed, passSockets } from "./passed-sockets.ts";

/**
 * Redirects a VM's connections and DNS questions to sockets of the server by nf_tables. The helper ends when they are set up.
 *
 * @param port of the sockets in the VM, if it is free
 * @throws HelperLost if the host's kernel or programs cannot do it
 */
export async function intercept(
  entry: Entry,
  port: number,
  { places }: Reach,
  passed: Passed,
  signal: AbortSignal,
): Promise<Interception> {
  const target = { ...entry, perl: entry.tools.perl };
  const run = (ports: [tcp: number, dns: number], at: readonly LoopbackPlace[]) => ({
    program: "interceptor" as const,
    args: [port, ...ports, ...at.flatMap(({ address, bits, port: to }) => [ipv4Number(address), bits, to])],
  });
  await passSockets(target, run([0, 0], places), passed, signal);
  const [server, socket] = [passed.connections[0], passed.questions[0]];
  if (server === undefined || socket === undefined) throw new HelperLost("the interceptor passed no sockets");
  const ports: [number, number] = [addressOf(server).port, addressOf(socket).port];
  return {
    questions: passed.questions,
    hasIpv6: passed.connections.length > 1,
    close: () => passed.close(),
    lead: (to) => passSockets(target, run(ports, to.places), passed, signal),
  };
}
