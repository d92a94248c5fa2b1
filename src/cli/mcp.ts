import process from "node:process";
import { serveStdio } from "../adapters/mcp/index.ts";
import { createClient, type VmAccessor } from "../client/index.ts";

interface McpOptions {
  endpoint?: string;
  actor: string;
  cwd?: string;
}

/**
 * Serves MCP on stdin and stdout, for one VM or for all VMs that the token reaches. Returns when the client has closed stdin.
 *
 * @param key parts of the VM's key; none for all VMs
 */
export async function mcp(key: string[], { endpoint, actor, cwd }: McpOptions): Promise<void> {
  const token = process.env.RIVET_TOKEN ?? process.env.AGENT_VM_TOKEN;
  await using client = createClient({ endpoint, token });
  const vms = (client as unknown as Record<string, VmAccessor>)[actor] as VmAccessor;
  await serveStdio(key.length === 0 ? vms : vms.getOrCreate(key), { workingDirectory: cwd });
}
