import { Socket as DatagramSocket } from "node:dgram";
import { Server } from "node:net";
import type { Interception, LoopbackPlace } from "../../network.ts";
import type { Entry } from "../commands/command.ts";
import { HelperLost, HelperProcess } from "../helpers/helper-process.ts";
import { CHANNEL_FD, closeHandle } from "../helpers/launcher.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";

const PROGRAM = helperSource("interceptor");

/**
 * Time for the kernel to set up the redirection of a VM's connections.
 * @unit ms
 * @past The VM's programs have the proxy only.
 */
const INTERCEPT_TIMEOUT_MS = 30_000;

/** Sockets that the helper has passed. */
export interface Passed {
  connections: Server[];
  questions: DatagramSocket[];
}

/**
 * Redirects a VM's connections and DNS questions to sockets of the server, by a helper that ends when they are set up.
 *
 * @param port of the sockets in the VM, if it is free
 * @throws HelperLost if the host's kernel or programs cannot do it
 */
export async function intercept(
  entry: Entry,
  port: number,
  places: readonly LoopbackPlace[],
  signal: AbortSignal,
): Promise<Interception> {
  const passed: Passed = { connections: [], questions: [] };
  const close = () => {
    for (const socket of [...passed.connections.splice(0), ...passed.questions.splice(0)]) socket.close();
  };
  const target = { ...entry, perl: entry.tools.perl };
  try {
    await passSockets(target, [port, 0, 0], places, passed, signal);
    signal.throwIfAborted();
  } catch (error) {
    close();
    throw error;
  }
  signal.addEventListener("abort", close, { once: true });
  const [server, socket] = [passed.connections[0], passed.questions[0]];
  if (server === undefined || socket === undefined) throw new HelperLost("the interceptor passed no sockets");
  const ports = [portOf(server), portOf(socket)];
  return {
    connections: [...passed.connections],
    questions: [...passed.questions],
    hasIpv6: passed.connections.length > 1,
    close,
    lead: (given) => passSockets(target, [port, ...ports], given, passed, signal),
  };
}

interface Target {
  /** Process in the network namespace; 0 for the helper's own. */
  initPid: number;
  perl: string;
  owner: Entry["owner"];
  /** Command that starts the helper. */
  prefix?: readonly string[];
}

/** Runs the helper, and collects the sockets that it passes. */
export async function passSockets(
  { initPid, perl, owner, prefix = [] }: Target,
  ports: readonly number[],
  places: readonly LoopbackPlace[],
  passed: Passed,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const flat = places.flatMap(({ address, bits, port }) => [numberOf(address), bits, port]);
  const command = helperCommand(perl, PROGRAM, [CHANNEL_FD, initPid, ...ports, ...flat]);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(INTERCEPT_TIMEOUT_MS)]);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined);
  let [expected, count, isOver] = [Number.POSITIVE_INFINITY, 0, false];
  const helper = await HelperProcess.launch({
    name: "interceptor",
    command: [...prefix, ...command] as [string, ...string[]],
    owner,
    maxFrameBytes: 64,
    onFrame: () => {
      throw new Error("the interceptor sends no frames");
    },
    onPassed: (message, handle) => {
      if ("done" in message) expected = Number(message.done);
      else count += 1;
      // A socket that arrives after the time is nobody's.
      if (isOver) closeHandle(handle);
      else if (handle instanceof Server) passed.connections.push(handle);
      else if (handle instanceof DatagramSocket) passed.questions.push(handle);
      if (count >= expected) resolve();
    },
  });
  limit.addEventListener("abort", () => reject(limit.reason), { once: true });
  if (limit.aborted) reject(limit.reason);
  void helper.ended.then(() => reject(helper.loss));
  try {
    await promise;
  } finally {
    isOver = true;
    await helper.close();
  }
}

function portOf(socket: Server | DatagramSocket): number {
  const address = socket.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function numberOf(address: string): number {
  return Buffer.from(address.split(".").map(Number)).readUInt32BE();
}
