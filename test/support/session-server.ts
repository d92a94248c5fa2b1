import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmHandle } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

/** A server of real VMs that have the scripted agent. */
export const SCRIPTED_SERVER_PROGRAM = fileURLToPath(new URL("./scripted-server.ts", import.meta.url));

export interface SessionServer {
  server: ServerProcess;
  vm: VmHandle;
  /** Another client's handle of the same VM. */
  another(endpoint?: string): VmHandle;
  /** SIGKILL, and the clients are gone too. */
  kill(): Promise<void>;
}

/** One run of it, ended when the test ends. @param dataDir data of the runs before it. */
export async function startSessionServer(dataDir?: string): Promise<SessionServer> {
  const server = await startServerProcess({
    program: SCRIPTED_SERVER_PROGRAM,
    ...(dataDir !== undefined && { dataDir }),
  });
  const clients: { dispose(): Promise<void> }[] = [];
  const another = (endpoint = server.endpoint) => {
    const client = createClient<typeof registry>({ endpoint });
    clients.push(client);
    return client.vm.getOrCreate("one");
  };
  const leave = () => Promise.all(clients.splice(0).map((client) => client.dispose()));
  onTestFinished(async () => {
    await leave();
    await server.stop("SIGKILL");
  });
  return {
    server,
    vm: another(),
    another,
    async kill() {
      server.process.kill("SIGKILL");
      await server.exited;
      await leave();
    },
  };
}
