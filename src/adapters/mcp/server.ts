import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { Guarded } from "../../api/rights.ts";
import { packageVersion } from "../../base/package-version.ts";
import type { VmAccessor, VmHandle } from "../../client/index.ts";
import { HOME } from "../shared/workplace.ts";
import { serveResources } from "./resources.ts";
import { Running } from "./running.ts";
import { loadSdk } from "./sdk.ts";
import { serveTools } from "./tools.ts";
import type { Vms } from "./vms.ts";

/** Options of `mcpServer`. */
export interface McpServerOptions {
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
  /** Characters of one answer, of which the middle is left out. @default 30_000 */
  outputLimit?: number;
  /** Milliseconds after which `exec` answers while its command goes on. @default 30_000 */
  yieldAfterMs?: number;
  /** Decides by the rights that a tool needs whether clients see the tool. @default all tools are shown */
  shows?: (needs: readonly Guarded[]) => boolean;
}

/** VMs and limits that the parts of a server work with. */
export interface Serving extends Required<McpServerOptions> {
  vms: Vms;
  running: Running;
}

/**
 * Makes an MCP server (`@modelcontextprotocol/sdk` 1) for one VM or for many. Connect it to a transport.
 *
 * @param target handle of a VM; or an accessor, `client.vm`, whose tools take the key of a VM
 * @param options base directory and limits
 * @throws AgentVmError `not_supported` if the SDK is not installed
 * @example
 * ```ts
 * const server = await mcpServer(client.vm.getOrCreate("my-agent"));
 * await server.connect(new StdioServerTransport());
 * ```
 */
export async function mcpServer(
  target: VmHandle | VmAccessor,
  options: McpServerOptions = {},
): Promise<Server> {
  const { Server, types } = await loadSdk();
  const vms: Vms = isHandle(target) ? { one: target } : { many: target };
  const {
    workingDirectory = HOME,
    outputLimit = 30_000,
    yieldAfterMs = 30_000,
    shows = () => true,
  } = options;
  const serving: Serving = {
    vms,
    workingDirectory,
    outputLimit,
    yieldAfterMs,
    shows,
    running: new Running(),
  };
  const server = new Server(
    { name: "agent-vm", title: "agent-vm", version: packageVersion() },
    { capabilities: { tools: {}, resources: {} }, instructions: instructionsOf(serving) },
  );
  serveTools(server, types, serving);
  serveResources(server, types, serving);
  return server;
}

/** A handle has a method for every name, and an accessor only its own. */
function isHandle(target: VmHandle | VmAccessor): target is VmHandle {
  return "connect" in target;
}

function instructionsOf({ vms, workingDirectory }: Serving): string {
  const which =
    "one" in vms ? "a Linux virtual machine" : "Linux virtual machines, each named by its key (`vm`)";
  return `Tools of ${which}. Relative paths and commands start in ${workingDirectory}. Take a snapshot before risky work: diff and undo compare with it.`;
}
