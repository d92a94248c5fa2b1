import { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";
import { AgentVmError } from "../api/errors.ts";
import { userError } from "./user-error.ts";
import { WaitingBodies } from "./waiting-bodies.ts";

/** A call by HTTP. */
interface Call {
  client: string;
  /** Bytes of its body. */
  bytes: number;
  /** How often RivetKit has loaded its actor: before it decodes the call, and after. Then the call may load others. */
  begun: number;
  done: number;
}

const calls = new AsyncLocalStorage<Call>();
const waiting = new WaitingBodies();

/**
 * Counts a load of an actor for the call that is being answered, and the body of the call during the first load, which may wait for a start.
 *
 * @throws UserError `limit_exceeded` for a body too much
 */
export async function countLoad<Instance>(load: () => Promise<Instance>): Promise<Instance> {
  const call = calls.getStore();
  if (call === undefined) return await load();
  call.begun += 1;
  // Later loads are of actors that the call itself calls.
  const release = call.begun === 1 ? held(call) : undefined;
  try {
    const instance = await load();
    call.done += 1;
    return instance;
  } finally {
    release?.();
  }
}

function held({ client, bytes }: Call): () => void {
  try {
    return waiting.hold(client, bytes);
  } catch (error) {
    throw userError(error as AgentVmError);
  }
}

/**
 * Hands over a call, and refuses the call if RivetKit cannot decode it.
 *
 * For RivetKit 2.2, which answers a message that it cannot decode as an internal error.
 */
export function refuseUndecoded(
  response: ServerResponse,
  { client, bytes }: Pick<Call, "client" | "bytes">,
  pass: () => void,
  refuse: (error: AgentVmError) => void,
): void {
  const call = { client, bytes, begun: 0, done: 0 };
  const { writeHead, write, end } = response;
  response.writeHead = ((status: number, ...rest: never[]) => {
    Object.assign(response, { writeHead, write, end });
    const isDecoded = call.begun !== 1 || call.done !== 1;
    if (status !== 500 || isDecoded) return writeHead.call(response, status, ...rest);
    refuse(new AgentVmError("invalid_argument", "The server cannot decode the arguments of the call"));
    // RivetKit's own answer follows.
    return Object.assign(response, { write: () => true, end: () => response });
  }) as typeof writeHead;
  calls.run(call, pass);
}
