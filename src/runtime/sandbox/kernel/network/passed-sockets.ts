import { Socket as DatagramSocket } from "node:dgram";
import { Server, type Socket } from "node:net";
import { EndSignal } from "../../../../base/end-signal.ts";
import { unlessAborted } from "../../../../base/within.ts";
import type { Entry } from "../commands/command.ts";
import { HelperProcess } from "../helpers/helper-process.ts";
import { CHANNEL_FD, closeHandle } from "../helpers/launcher-channel.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";
import { AcceptRate } from "./accept-rate.ts";

/**
 * Time for the kernel to set up the way of a VM's connections.
 * @unit ms
 * @past The VM's programs have the proxy only.
 */
const SET_UP_TIMEOUT_MS = 30_000;

/** Sockets that helpers have passed for one VM. */
export class Passed {
  readonly connections: Server[] = [];
  readonly questions: DatagramSocket[] = [];
  readonly #rate = new AcceptRate();
  readonly #onConnection: (socket: Socket) => void;

  /** @param onConnection takes the connections of all sockets */
  constructor(onConnection: (socket: Socket) => void) {
    this.#onConnection = onConnection;
  }

  /** Takes a socket at once: a program may have connected to it. */
  take(handle: unknown): void {
    if (handle instanceof DatagramSocket) this.questions.push(handle);
    if (!(handle instanceof Server)) return;
    // A program may end its side and wait for the rest of the other.
    Object.assign(handle, { allowHalfOpen: true });
    handle.on("connection", this.#onConnection);
    this.#rate.add(handle);
    handle.on("error", () => handle.close());
    this.connections.push(handle);
  }

  close(): void {
    for (const socket of [...this.connections.splice(0), ...this.questions.splice(0)]) socket.close();
  }
}

export interface Target {
  /** Process in the VM's network namespace; 0 for the helper's own. */
  initPid: number;
  perl: string;
  owner: Entry["owner"];
  /** Command that starts the helper. */
  prefix?: readonly string[];
}

interface Run {
  program: "gateway" | "interceptor";
  args: readonly number[];
  /** Descriptors of the helper from 4 on. */
  descriptors?: readonly number[];
}

/** The first descriptor of `Run.descriptors` in the helper. */
export const FIRST_GIVEN_FD = CHANNEL_FD + 1;

/**
 * Runs a helper that sets up a VM's network, and collects the sockets that it passes.
 *
 * @throws HelperLost if the host's kernel or programs cannot do it
 */
export async function passSockets(
  { initPid, perl, owner, prefix = [] }: Target,
  { program, args, descriptors = [] }: Run,
  passed: Passed,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const command = helperCommand(perl, helperSource(program), [CHANNEL_FD, initPid, ...args]);
  const helper = HelperProcess.start({
    name: program,
    command: [...prefix, ...command] as [string, ...string[]],
    // Node receives descriptors (SCM_RIGHTS) only through its own channel between processes.
    descriptors: ["ipc", ...descriptors],
    owner,
    maxFrameBytes: 64,
    onFrame: () => {
      throw new Error(`the ${program} sends no frames`);
    },
  });
  let isOver = false;
  try {
    const set = new Promise<void>((resolve, reject) => {
      void helper.ended.then(() => reject(helper.loss));
      let [expected, count] = [Number.POSITIVE_INFINITY, 0];
      helper.process?.on("message", ({ done }: { done?: number }, handle: unknown) => {
        if (done !== undefined) expected = done;
        else count += 1;
        // A socket that arrives after the time is nobody's.
        if (isOver) closeHandle(handle);
        else passed.take(handle);
        if (count >= expected) resolve();
      });
    });
    const late = new Error(`the ${program} takes long`);
    const end = new EndSignal([signal]).after(SET_UP_TIMEOUT_MS, () => late);
    await end.during((ends) => unlessAborted(set, ends));
  } finally {
    isOver = true;
    if (helper.process?.connected) helper.process.disconnect();
    await helper.close();
  }
}

/** Returns the address and the port of a socket; 0 for a closed one. */
export function addressOf(socket: Server | DatagramSocket): { address: string; port: number } {
  const address = socket.address();
  return typeof address === "object" && address !== null ? address : { address: "", port: 0 };
}

/** Returns an IPv4 address as a number. */
export function ipv4Number(address: string): number {
  return Buffer.from(address.split(".").map(Number)).readUInt32BE();
}
