import { expect, test } from "vitest";
import { installPackages } from "../../../support/agent-packages.ts";
import { startVm } from "../../../support/vm.ts";

test("createSession refuses MCP servers for an agent that would ignore them", async () => {
  const from = installPackages({
    "pi-acp": { version: "1.0.0", programs: { "pi-acp": "" } },
    "@earendil-works/pi-coding-agent": { version: "1.0.0", programs: { pi: "" } },
  });
  const { vm } = startVm({ agents: { pi: { from } } });
  await expect(vm.createSession("pi", { mcpServers: [{ command: "server" }] })).rejects.toMatchObject({
    code: "agent_failed",
    message: "Agent pi cannot use MCP servers",
  });
  expect(await vm.listSessions()).toEqual([]);
});
