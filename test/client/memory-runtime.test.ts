import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient, type VmHandle } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

// Tests the ready-made server with the memory runtime, which needs no kernel sandbox.

let server: ServerProcess;
let agent: VmHandle;
beforeAll(async () => {
  server = await startTestServer({ kind: "memory", process: true });
  agent = createClient<typeof registry>({ endpoint: server.endpoint }).vm.getOrCreate("files");
});
afterAll(() => server.stop());

const text = (data: Uint8Array) => new TextDecoder().decode(data);

test("file actions work through client and server", async () => {
  await agent.mkdir("/home/agentos/notes");
  await agent.writeFile("/home/agentos/notes/a.txt", "one");
  await agent.writeFiles([
    { path: "/home/agentos/notes/b.txt", content: "two" },
    { path: "relative", content: "" },
  ]);
  expect(await agent.readdir("/home/agentos/notes")).toEqual(["a.txt", "b.txt"]);
  await agent.move("/home/agentos/notes/b.txt", "/home/agentos/notes/c.txt");
  const [first, second] = await agent.readFiles(["/home/agentos/notes/c.txt", "/home/agentos/notes/b.txt"]);
  expect(text(first?.content ?? new Uint8Array())).toBe("two");
  expect(second).toMatchObject({ content: null, error: expect.stringContaining("ENOENT") });
  expect(await agent.stat("/home/agentos/notes/a.txt")).toMatchObject({ size: 3, isDirectory: false });
  expect(await agent.delete("/home/agentos/notes", { recursive: true })).toBeUndefined();
  expect(await agent.exists("/home/agentos/notes")).toBe(false);
});

test("transfers large files in pieces, over HTTP and over a connection", { tags: ["slow"] }, async () => {
  const data = new Uint8Array(20 * 1024 * 1024 + 7).map((_, index) => index % 251);
  const connection = agent.connect();
  for (const vm of [agent, connection]) {
    await vm.writeFile("/tmp/large", data);
    expect(Buffer.compare(await vm.readFile("/tmp/large"), data)).toBe(0);
  }
  await connection.dispose();
});

test("errors carry the runtime's codes", async () => {
  expect(await failure(agent.readFile("/missing"))).toMatchObject({
    code: "ENOENT",
    message: "ENOENT: no such file or directory, open '/missing'",
  });
  expect(await failure(agent.readFile("relative"))).toMatchObject({
    message: "Path must be absolute: relative",
  });
  expect(await failure(agent.readFile("/a/../b"))).toMatchObject({
    message: "Path must be normalized: /a/../b",
  });
  expect(await failure(agent.exec("ls"))).toMatchObject({
    code: "not_supported",
    metadata: { action: "exec", capability: "processes", runtime: "memory" },
  });
  expect(await failure(agent.openShell())).toMatchObject({ code: "not_supported" });
  expect(await failure(agent.getProcess(77))).toMatchObject({ code: "process_not_found" });
});
