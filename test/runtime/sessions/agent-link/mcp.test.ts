import { expect, test } from "vitest";
import { ask, count, open, scriptedVm } from "../../../support/scripted.ts";
import { failure } from "../../../support/until.ts";

test("the agent gets MCP servers in the protocol's form", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "http", {
    mcpServers: [
      { command: "node", args: ["server.js"], env: { KEY: "value", OTHER: "" } },
      { type: "local", name: "files", command: "/bin/mcp" },
      { type: "remote", url: "https://example.com/mcp", headers: { authorization: "Bearer x" } },
      { name: "plain", url: "http://127.0.0.1:3000/" },
    ],
  });
  expect(JSON.parse(await ask(vm, id, "mcp"))).toEqual([
    {
      name: "mcp-1",
      command: "node",
      args: ["server.js"],
      env: [
        { name: "KEY", value: "value" },
        { name: "OTHER", value: "" },
      ],
    },
    { name: "files", command: "/bin/mcp", args: [], env: [] },
    {
      type: "http",
      name: "mcp-3",
      url: "https://example.com/mcp",
      headers: [{ name: "authorization", value: "Bearer x" }],
    },
    { type: "http", name: "plain", url: "http://127.0.0.1:3000/", headers: [] },
  ]);
});

test("createSession refuses an HTTP server for an agent without HTTP, and keeps no session", {
  tags: ["slow"],
}, async () => {
  const { vm } = scriptedVm();
  const error = await failure(open(vm, "", { mcpServers: [{ name: "far", url: "https://example.com/" }] }));
  expect(error.message).toMatch(/scripted.*http/is);
  expect(error.message).toContain("far");
  expect(await vm.listSessions()).toEqual([]);
  expect(await vm.listPersistedSessions()).toEqual([]);
  expect(await count(vm)).toBe(0);
});
