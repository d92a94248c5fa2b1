import { onTestFinished } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmClient } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

/** The ready-made server as a program, with real VMs, and a client of it; both gone when the test ends. */
export async function startKernelServer(
  env: Record<string, string> = {},
): Promise<{ server: ServerProcess; client: VmClient<typeof registry> }> {
  const server = await startServerProcess({ env: { AGENT_VM_RUNTIME: "kernel", ...env } });
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await server.stop("SIGTERM");
  });
  return { server, client };
}
