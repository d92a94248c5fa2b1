import { findTool } from "../tools.ts";
import { type Passed, passSockets } from "./interceptor.ts";

interface InterceptionSupport {
  works: boolean;
  /** For the banner and the doctor, with the reason if it does not work. */
  description: string;
}

let support: Promise<InterceptionSupport> | undefined;

/** Says whether the connections of every program can be intercepted on this host. Tried until it works once. */
export function interceptionSupport(): Promise<InterceptionSupport> {
  support ??= tryIntercept().then((found) => {
    if (!found.works) support = undefined;
    return found;
  });
  return support;
}

/** Intercepts the connections of a new network namespace, in which nothing runs. */
async function tryIntercept(): Promise<InterceptionSupport> {
  const prefix = [findTool("unshare") ?? "unshare", "--user", "--map-root-user", "--net", "--"];
  const target = { initPid: 0, perl: findTool("perl") ?? "perl", owner: null, prefix };
  const passed: Passed = { connections: [], questions: [] };
  try {
    await passSockets(target, [0, 0, 0], [], passed, new AbortController().signal);
    const families = passed.connections.length > 1 ? "IPv4 and IPv6" : "IPv4 only";
    return { works: true, description: `every connection of a program meets the policy (${families})` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { works: false, description: `only programs with proxy support get out: ${reason}` };
  } finally {
    for (const socket of [...passed.connections, ...passed.questions]) socket.close();
  }
}
