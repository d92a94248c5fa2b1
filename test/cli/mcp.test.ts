import process from "node:process";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { expect, test } from "vitest";
import { connectMcp } from "../support/mcp.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { fileServer } from "../support/servers.ts";

const server = fileServer("memory");

/** Connects the SDK's client to `agent-vm mcp`, and returns the program's process id too. */
async function connectProgram(...args: string[]) {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [AGENT_VM_PROGRAM, "mcp", ...args, "--endpoint", server().endpoint],
    stderr: "pipe",
  });
  return { ...(await connectMcp(transport)), transport };
}

test("agent-vm mcp KEY serves one VM on stdin and stdout, and ends with its client", async () => {
  const { client, text, transport } = await connectProgram("team/one", "--cwd", "/workspace");
  expect((await client.listTools()).tools.map(({ name }) => name)).toContain("exec");
  expect(await text("write_file", { path: "a", content: "content" })).toBe("Wrote /workspace/a");
  const vm = server().client().vm.get(["team", "one"]);
  expect(new TextDecoder().decode(await vm.readFile("/workspace/a"))).toBe("content");
  const { pid } = transport;
  await client.close();
  await expect.poll(() => isRunning(pid)).toBe(false);
});

test("without a key the tools name the VM", async () => {
  await server().client().vm.getOrCreate("two").writeFile("/home/agentos/b", "theirs");
  const { text } = await connectProgram();
  expect(await text("read_file", { vm: "two", path: "b" })).toBe("theirs");
  expect(await text("list_vms")).toContain('"key":["two"]');
});

function isRunning(pid: number | null): boolean {
  try {
    return process.kill(pid ?? 0, 0);
  } catch {
    return false;
  }
}
