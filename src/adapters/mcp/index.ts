/**
 * An MCP server for VMs. Needs `@modelcontextprotocol/sdk` 1.
 *
 * @module
 */
export { loadStreamableHttp } from "./sdk.ts";
export { type McpServerOptions, mcpServer } from "./server.ts";
export { serveStdio } from "./stdio.ts";
