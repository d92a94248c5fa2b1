import { createClient, type VmConnection } from "../src/client/index.ts";
import type { registry as Registry } from "../src/server.ts";
import { type ServerProcess, startServerProcess } from "../test/support/server-process.ts";

/** Kinds of servers: VMs booted ahead as by default, none booted ahead, and VMs without processes. */
const KINDS = {
  pool: { AGENT_VM_RUNTIME: "kernel", AGENT_VM_POOL: "2" },
  "no pool": { AGENT_VM_RUNTIME: "kernel", AGENT_VM_POOL: "0" },
  memory: { AGENT_VM_RUNTIME: "memory" },
} as const;

const servers = new Map<string, Promise<ServerProcess>>();
let vms = 0;

/** A new VM of a server in another process, reached by this package's client over loopback. */
export async function clientVm(kind: keyof typeof KINDS = "pool"): Promise<VmConnection> {
  const starting = servers.get(kind) ?? startServerProcess({ env: KINDS[kind] });
  servers.set(kind, starting);
  const { endpoint } = await starting;
  const client = createClient<typeof Registry>({ endpoint });
  return client.vm.getOrCreate(`bench-${vms++}`).connect();
}

export async function stopServers(): Promise<void> {
  for (const server of await Promise.all(servers.values())) await server.stop("SIGTERM");
}
