import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError } from "../../api/errors.ts";
import { serverOf } from "../../client/rivet/config.ts";
import { askServer } from "../../client/server-request.ts";
import type { Cli } from "../cli.ts";

/** Pause between two looks at a server that shuts down. */
const LOOK_MS = 200;

/** Longest wait for the end of the server: longer than its own limits. */
const END_TIMEOUT_MS = 120_000;

/** Shuts a server down in order, and waits until it is gone. */
export async function drain(cli: Cli): Promise<void> {
  const server = serverOf(await cli.server());
  await askServer(server, { method: "POST", path: "drain", body: {} });
  const until = performance.now() + END_TIMEOUT_MS;
  while (await isThere(server.endpoint)) {
    if (performance.now() > until) {
      throw new AgentVmError("connection_lost", `The server has not ended within ${END_TIMEOUT_MS} ms`);
    }
    await delay(LOOK_MS);
  }
  await cli.out.value({ drained: server.endpoint }, `${server.endpoint} has shut down`);
}

async function isThere(endpoint: string): Promise<boolean> {
  try {
    await fetch(`${endpoint}/health/live`, { signal: AbortSignal.timeout(END_TIMEOUT_MS) });
    return true;
  } catch {
    return false;
  }
}
