import { StreamableHTTPError } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { LATEST_PROTOCOL_VERSION } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectHttp } from "../../support/mcp.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    kind: "kernel",
    vm: { runtime: "memory" },
    options: {
      token: TOKEN,
      authorize: ({ headers }) => {
        const user = headers.get("x-user");
        return user === null ? null : { identity: user, vms: user, may: ["files", "create"] };
      },
    },
  });
});
afterAll(() => server.stop());

const admin = () => server.client({ token: TOKEN });

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: LATEST_PROTOCOL_VERSION,
    capabilities: {},
    clientInfo: { name: "test", version: "1" },
  },
};

function post(body: object, headers: Record<string, string> = {}): Promise<Response> {
  const accept = "application/json, text/event-stream";
  return fetch(`${server.endpoint}/mcp`, {
    method: "POST",
    headers: { accept, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

test("a request without a token is refused", async () => {
  expect((await post(INITIALIZE)).status).toBe(401);
  expect(await failure(connectHttp(server.endpoint, "", "wrong"))).toBeInstanceOf(StreamableHTTPError);
});

test("a token reaches only its VMs, with its rights, and sees only the tools that they allow", async () => {
  await admin().vm.getOrCreate("alice").writeFile("/home/agentos/note", "hers");
  await admin().vm.getOrCreate("bob").writeFile("/home/agentos/note", "his");
  const { token } = await admin().tokens.create({ vms: "alice", may: ["files"] });
  const { client, text } = await connectHttp(server.endpoint, "", token);
  const { tools } = await client.listTools();
  const names = tools.map(({ name }) => name);
  expect(names).toContain("read_file");
  expect(names).not.toContain("exec");
  expect(names).not.toContain("create_vm");
  expect(await text("read_file", { vm: "alice", path: "note" })).toBe("hers");
  expect(await text("read_file", { vm: "bob", path: "note" })).toContain("error: forbidden");
  expect(await text("exec", { vm: "alice", command: "id" })).toContain("error: forbidden");
  expect(await text("create_vm", { vm: "carol" })).toContain("error: forbidden");
  expect(await failure(client.readResource({ uri: "vm://bob/home/agentos/note" }))).toMatchObject({
    message: expect.stringContaining("forbidden"),
  });
});

test("a token that is revoked ends the session's calls", async () => {
  await admin().vm.getOrCreate("alice").writeFile("/home/agentos/note", "hers");
  const { token, id } = await admin().tokens.create({ vms: "alice", may: ["files"] });
  const { text } = await connectHttp(server.endpoint, "?vm=alice", token);
  expect(await text("read_file", { path: "note" })).toBe("hers");
  await admin().tokens.revoke(id);
  expect(await failure(text("read_file", { path: "note" }))).toMatchObject({ code: 401 });
});

test("a session belongs to the client that has opened it", async () => {
  const opened = await post(INITIALIZE, { "x-user": "dora" });
  const session = opened.headers.get("mcp-session-id") ?? "";
  await opened.text();
  expect(session).not.toBe("");
  const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
  const as = (user: string) => post(list, { "x-user": user, "mcp-session-id": session });
  expect((await as("eve")).status).toBe(404);
  const own = await as("dora");
  expect(own.status).toBe(200);
  expect(await own.text()).toContain("read_file");
});

test("an identity of authorize has its own VMs in MCP too", async () => {
  const opened = await post(INITIALIZE, { "x-user": "dora" });
  const session = opened.headers.get("mcp-session-id") ?? "";
  await opened.text();
  const call = async (name: string, args: object) => {
    const body = { jsonrpc: "2.0", id: 2, method: "tools/call", params: { name, arguments: args } };
    return await (await post(body, { "x-user": "dora", "mcp-session-id": session })).text();
  };
  expect(await call("create_vm", { vm: "dora" })).not.toContain("isError");
  expect(await call("write_file", { vm: "dora", path: "x", content: "" })).toContain("Wrote");
  expect(await call("create_vm", { vm: "frank" })).toContain("forbidden");
});

test("a request of another site's page is refused before the user is asked", async () => {
  expect((await post(INITIALIZE, { "x-user": "dora", origin: "https://evil.example" })).status).toBe(403);
});

test.each<[string, string, Record<string, string>, number]>([
  ["an unknown session", JSON.stringify(INITIALIZE), { "mcp-session-id": "x" }, 404],
  ["no JSON", "{", {}, 400],
  ["a call before initialize", JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }), {}, 400],
  ["a batch of messages", JSON.stringify([INITIALIZE]), {}, 400],
  ["a body above the limit", "x".repeat(17 * 1024 * 1024), {}, 413],
])("%s is refused", async (_what, body, headers, status) => {
  const response = await fetch(`${server.endpoint}/mcp`, {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      authorization: `Bearer ${TOKEN}`,
      ...headers,
    },
    body,
  });
  expect(response.status).toBe(status);
});

async function openSession(user: string): Promise<string> {
  const opened = await post(INITIALIZE, { "x-user": user });
  await opened.text();
  return opened.headers.get("mcp-session-id") ?? "";
}

async function statusOf(user: string, session = ""): Promise<number> {
  const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
  const answer = await post(list, { "x-user": user, "mcp-session-id": session });
  await answer.text();
  return answer.status;
}

test("a client that opens too many sessions loses the one that it did not use longest, and no other client's", async () => {
  const others = await openSession("dora");
  const sessions: string[] = [];
  for (let count = 0; count < 64; count++) sessions.push(await openSession("greedy"));
  expect(await statusOf("greedy", sessions[0])).toBe(200);
  const last = await openSession("greedy");
  expect(await statusOf("greedy", sessions[1])).toBe(404);
  expect(await statusOf("greedy", sessions[0])).toBe(200);
  expect(await statusOf("greedy", last)).toBe(200);
  expect(await statusOf("dora", others)).toBe(200);
});
