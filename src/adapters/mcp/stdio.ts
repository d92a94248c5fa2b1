import { once } from "node:events";
import process from "node:process";
import type { VmAccessor, VmHandle } from "../../client/index.ts";
import { loadStdio } from "./sdk.ts";
import { type McpServerOptions, mcpServer } from "./server.ts";

/** Serves MCP on stdin and stdout. Resolves when the client has closed stdin. */
export async function serveStdio(
  target: VmHandle | VmAccessor,
  options: McpServerOptions = {},
): Promise<void> {
  const [server, { StdioServerTransport }] = await Promise.all([mcpServer(target, options), loadStdio()]);
  const ended = Promise.race([once(process.stdin, "end"), once(process.stdin, "close")]);
  await server.connect(new StdioServerTransport());
  await ended;
  await server.close();
}
