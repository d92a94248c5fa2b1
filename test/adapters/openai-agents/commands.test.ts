import { expect, test } from "vitest";
import { Commands } from "../../../src/adapters/openai-agents/commands.ts";
import { VmSandboxSession } from "../../../src/adapters/openai-agents/session.ts";

test("the output of a terminal says that its beginning is no longer kept", async () => {
  const vm = {
    openShell: async () => ({ shellId: "shell-1" }),
    waitShell: async () => 0,
    readShell: async () => ({
      chunks: [{ seq: 7, data: new TextEncoder().encode("the end\r\n") }],
      truncated: true,
      running: false,
      exitCode: 0,
    }),
  };
  const { output, exitCode } = await new Commands(vm as never).exec({ cmd: "seq", tty: true }, "/", {});
  expect([output, exitCode]).toEqual(["[agent-vm: earlier output was dropped]\nthe end\r\n", 0]);
});

test.each([
  [1, "the archive"],
  [2, "Error: The workspace could not be archived: tar: broken"],
])("persistWorkspace takes the exit code %i of tar as %s", async (exitCode, expected) => {
  const vm = {
    mkdir: async () => undefined,
    execArgv: async () => ({ exitCode, stderr: "tar: broken\n" }),
    readFile: async () => "the archive",
    deleteFile: async () => undefined,
    stat: async () => ({ isDirectory: true }),
  };
  const manifest = { root: "/workspace", ephemeralPersistencePaths: () => [] };
  const session = new VmSandboxSession(vm as never, { manifest } as never, {} as never);
  expect(String(await session.persistWorkspace().catch((error: unknown) => error))).toBe(expected);
});
