import { expect, test } from "vitest";
import { Commands } from "../../../src/adapters/openai-agents/commands.ts";

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
