// @module-tag any-user
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectHttp } from "../../support/mcp.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", options: { token: TOKEN } });
});
afterAll(() => server.stop());

const admin = () => server.client({ token: TOKEN });

test("a client runs commands, and reads and edits files of one VM", async () => {
  const { client, text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  expect(client.getServerVersion()).toMatchObject({ name: "agent-vm" });
  expect(await text("exec", { command: "echo out; echo err >&2; exit 3" })).toBe("out\nerr\n\n[exit code 3]");
  expect(await text("write_file", { path: "a.txt", content: "one\ntwo\nthree\n" })).toBe("Wrote /home/agentos/a.txt");
  expect(await text("edit_file", { path: "a.txt", old_text: "two", new_text: "2" })).toContain("Replaced 1");
  expect(await text("read_file", { path: "a.txt", start_line: 2, end_line: 3 })).toBe("2\nthree");
  expect(await text("search", { pattern: "t.ree" })).toBe("/home/agentos/a.txt:3:three");
  expect(await text("list_dir")).toContain("file\t12\t/home/agentos/a.txt");
  expect(await text("edit_file", { path: "a.txt", old_text: "none", new_text: "" })).toContain("error: invalid_argument");
  expect(await text("read_file", { path: "missing" })).toContain("error: ENOENT");
  expect(await text("exec", { comand: "x" })).toContain("error: invalid_argument");
});
