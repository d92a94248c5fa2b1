import { AgentVmError } from "../../api/errors.ts";
import { loadOnce } from "../../base/load-once.ts";

/** The parts of `@modelcontextprotocol/sdk` that every server uses. */
async function load() {
  try {
    // A bundler lets an import stay unresolved only if it is awaited right inside a try.
    const { Server } = await import("@modelcontextprotocol/sdk/server/index.js");
    const types = await import("@modelcontextprotocol/sdk/types.js");
    return { Server, types };
  } catch (error) {
    throw missing(error);
  }
}

export type Sdk = Awaited<ReturnType<typeof load>>;

/**
 * Loads the SDK, which is an optional dependency.
 *
 * @throws AgentVmError `not_supported` if it is not installed
 */
export const loadSdk: () => Promise<Sdk> = loadOnce(load);

/** Loads the transport of a server on stdin and stdout. */
export async function loadStdio() {
  try {
    return await import("@modelcontextprotocol/sdk/server/stdio.js");
  } catch (error) {
    throw missing(error);
  }
}

/** Loads the transport of a server over HTTP. */
export async function loadStreamableHttp() {
  try {
    return await import("@modelcontextprotocol/sdk/server/streamableHttp.js");
  } catch (error) {
    throw missing(error);
  }
}

function missing(error: unknown): unknown {
  if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") return error;
  const message = "MCP needs the package @modelcontextprotocol/sdk, which is not installed";
  return new AgentVmError("not_supported", message, { hint: "npm install @modelcontextprotocol/sdk" });
}
