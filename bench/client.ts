import { createClient } from "../src/client/index.ts";
import type { registry as Registry } from "../src/server.ts";
import { type ServerProcess, startServerProcess } from "../test/support/server-process.ts";

let server: ServerProcess | undefined;
let vms = 0;

/** A new VM of a server in another process, reached by this package's client over loopback. */
export async function clientVm() {
  server ??= await startServerProcess({ env: { AGENT_VM_RUNTIME: "kernel" } });
  const client = createClient<typeof Registry>({ endpoint: server.endpoint });
  const vm = client.vm.getOrCreate(`bench-${vms++}`).connect();
  return { vm, stop: () => server?.stop() };
}
