import { findTool } from "../tools.ts";
import { Passed, passSockets } from "./passed-sockets.ts";

/** How connections of programs without proxy support meet the policy: all of them, or those to the policy's ports. */
type Way = "redirection" | "gateway";

interface InterceptionSupport {
  /** `undefined`: such programs reach nothing outside. */
  way: Way | undefined;
  /** For the banner and the doctor, with the reason if it is not the redirection. */
  description: string;
}

let support: Promise<InterceptionSupport> | undefined;

/** Finds the best way of this host. Looks again until the best one works. */
export function interceptionSupport(): Promise<InterceptionSupport> {
  support ??= find().then((found) => {
    if (found.way !== "redirection") support = undefined;
    return found;
  });
  return support;
}

async function find(): Promise<InterceptionSupport> {
  const redirected = await tryOut("interceptor", [0, 0, 0]);
  if (typeof redirected === "number") {
    const families = redirected > 1 ? "IPv4 and IPv6" : "IPv4 only";
    return {
      way: "redirection",
      description: `every connection of a program meets the policy (${families})`,
    };
  }
  const led = await tryOut("gateway", [0, 0, 53]);
  if (typeof led === "number") {
    return {
      way: "gateway",
      description: `connections to ports that the policy names meet it, others need the proxy: ${redirected}`,
    };
  }
  return {
    way: undefined,
    description: `only programs with proxy support get out: ${redirected}; ${led}`,
  };
}

/** Sets up a new network namespace, in which nothing runs. @returns the number of sockets for connections, or the reason */
async function tryOut(program: "gateway" | "interceptor", args: number[]): Promise<number | string> {
  const prefix = [findTool("unshare") ?? "unshare", "--user", "--map-root-user", "--net", "--"];
  const target = { initPid: 0, perl: findTool("perl") ?? "perl", owner: null, prefix };
  const passed = new Passed((socket) => socket.destroy());
  try {
    await passSockets(target, { program, args }, passed, new AbortController().signal);
    return passed.connections.length;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    passed.close();
  }
}
