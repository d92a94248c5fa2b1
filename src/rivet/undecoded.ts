import { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";
import { AgentVmError } from "../api/errors.ts";

/** How often RivetKit has loaded the actor of a call by HTTP: before it decodes the call, and after. */
const loads = new AsyncLocalStorage<{ begun: number; done: number }>();

/** Counts a load of an actor for the call that is being answered. */
export async function countLoad<Instance>(load: () => Promise<Instance>): Promise<Instance> {
  const call = loads.getStore();
  if (call) call.begun += 1;
  const instance = await load();
  if (call) call.done += 1;
  return instance;
}

/**
 * Hands over a call, and refuses the call if RivetKit cannot decode it.
 *
 * For RivetKit 2.2, which answers a message that it cannot decode as an internal error.
 */
export function refuseUndecoded(
  response: ServerResponse,
  pass: () => void,
  refuse: (error: AgentVmError) => void,
): void {
  const call = { begun: 0, done: 0 };
  const { writeHead, write, end } = response;
  response.writeHead = ((status: number, ...rest: never[]) => {
    Object.assign(response, { writeHead, write, end });
    const isDecoded = call.begun !== 1 || call.done !== 1;
    if (status !== 500 || isDecoded) return writeHead.call(response, status, ...rest);
    refuse(new AgentVmError("invalid_argument", "The server cannot decode the arguments of the call"));
    // RivetKit's own answer follows.
    return Object.assign(response, { write: () => true, end: () => response });
  }) as typeof writeHead;
  loads.run(call, pass);
}
