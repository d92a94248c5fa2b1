import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { onTestFinished } from "vitest";

/** The SDK's own client, with short ways to call tools. */
export interface McpClient {
  client: Client;
  /** Calls a tool. @returns the texts of its answer, after `error: ` if it failed */
  text(name: string, args?: Record<string, unknown>): Promise<string>;
}

/** Connects the SDK's client. The test's end closes it. */
export async function connectMcp(transport: Transport): Promise<McpClient> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  onTestFinished(() => client.close());
  return {
    client,
    async text(name, args = {}) {
      const { content, isError } = (await client.callTool({ name, arguments: args })) as CallToolResult;
      const texts = content.map((part) => (part.type === "text" ? part.text : JSON.stringify(part)));
      return (isError ? "error: " : "") + texts.join("\n");
    },
  };
}

/** Connects the SDK's client to the server's `/mcp`. @param query for example `?vm=KEY` */
export function connectHttp(endpoint: string, query = "", token?: string): Promise<McpClient> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const url = new URL(`/mcp${query}`, endpoint);
  return connectMcp(new StreamableHTTPClientTransport(url, { requestInit: { headers } }) as Transport);
}
