import { LATEST_PROTOCOL_VERSION } from "@modelcontextprotocol/sdk/types.js";
import { expect, onTestFinished, test, vi } from "vitest";
import { MCP_IDLE_MS } from "../../../src/http/limits.ts";
import { Tokens } from "../../../src/http/tokens/tokens.ts";
import { startTestServer } from "../../support/servers.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

test("a session ends once it was idle for 30 minutes, or once its token is revoked, and not for a server that cannot ask", async () => {
  const server = await startTestServer({
    kind: "kernel",
    vm: { runtime: "memory" },
    options: { token: TOKEN },
  });
  onTestFinished(() => server.stop());
  const { tokens } = server.client({ token: TOKEN });
  const make = () => tokens.create({ vms: "alice", may: ["files"], expiresIn: 86_400 });
  const [idle, used, revoked] = await Promise.all([make(), make(), make()]);
  vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const request = (token: string, session?: string, body?: object) =>
    fetch(`${server.endpoint}/mcp`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        accept: `${body === undefined ? "" : "application/json, "}text/event-stream`,
        "content-type": "application/json",
        authorization: `Bearer ${token}`,
        ...(session !== undefined && { "mcp-session-id": session }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const open = async ({ token }: { token: string }) => {
    const clientInfo = { name: "test", version: "1" };
    const params = { protocolVersion: LATEST_PROTOCOL_VERSION, capabilities: {}, clientInfo };
    const opened = await request(token, undefined, { jsonrpc: "2.0", id: 1, method: "initialize", params });
    await opened.text();
    return opened.headers.get("mcp-session-id") ?? "";
  };
  const statusOf = async ({ token }: { token: string }, session: string) => {
    const answer = await request(token, session, { jsonrpc: "2.0", id: 2, method: "tools/list" });
    await answer.text();
    return answer.status;
  };
  const ofIdle = await open(idle);
  const ofUsed = await open(used);
  const stream = await request(revoked.token, await open(revoked));
  expect(stream.status).toBe(200);
  await tokens.revoke(revoked.id);
  const asked = vi.spyOn(Tokens.prototype, "fresh").mockRejectedValue(new Error("nobody tells"));
  onTestFinished(() => asked.mockRestore());
  vi.advanceTimersByTime(MCP_IDLE_MS - 1000);
  // The stream of the revoked token ends.
  await stream.text();
  expect(asked).toHaveBeenCalled();
  expect(await statusOf(used, ofUsed)).toBe(200);
  vi.advanceTimersByTime(MCP_IDLE_MS / 2);
  expect(await statusOf(idle, ofIdle)).toBe(404);
  expect(await statusOf(used, ofUsed)).toBe(200);
});
