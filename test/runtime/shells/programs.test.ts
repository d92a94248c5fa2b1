// @module-tag any-user
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

const PROMPT = /\$ $/;

/** `true` if the host has a program that needs a full terminal. Its test is skipped otherwise. */
const has = (program: string) => existsSync(`/usr/bin/${program}`);

test.skipIf(!has("vim"))("vim edits a file", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell({ command: "vim", args: ["-u", "NONE", "/tmp/note"] });
  await screenHas(shellId, "/tmp/note");
  await vm.writeShell(shellId, "iwritten in vim\x1b:wq\r");
  expect(await vm.waitShell(shellId)).toBe(0);
  expect(Buffer.from(await vm.readFile("/tmp/note")).toString()).toBe("written in vim\n");
});

test.skipIf(!has("less"))("less shows the end of a long file", async () => {
  const { vm, screenHas } = startVm();
  await vm.writeFile("/tmp/long", Array.from({ length: 500 }, (_, index) => `line ${index}`).join("\n"));
  const { shellId } = await vm.openShell({ command: "less", args: ["/tmp/long"] });
  await screenHas(shellId, "line 22");
  await vm.writeShell(shellId, "G");
  await screenHas(shellId, "line 499");
  await vm.writeShell(shellId, "q");
  expect(await vm.waitShell(shellId)).toBe(0);
});

test.skipIf(!has("top"))("top runs", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell({ command: "top", args: ["-d", "0.2"] });
  await screenHas(shellId, /PID[\s\S]*USER/);
  await vm.writeShell(shellId, "q");
  expect(await vm.waitShell(shellId)).toBe(0);
});

test.skipIf(!has("tmux"))("tmux runs a session", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell();
  await screenHas(shellId, PROMPT);
  await vm.writeShell(shellId, "tmux -f /dev/null new-session -s work\n");
  await screenHas(shellId, "[work]");
  await vm.writeShell(shellId, "tty; echo in-tmux-$((6 * 7))\n");
  await screenHas(shellId, "in-tmux-42");
  expect((await vm.exec("tmux list-sessions -F '#{session_name} #{session_attached}'")).stdout).toBe(
    "work 1\n",
  );
  await vm.writeShell(shellId, "exit\n");
  await screenHas(shellId, "[exited]");
});

test("a missing program prints only that it was not found", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell({ command: "no-such-program" });
  expect(await vm.waitShell(shellId)).toBe(127);
  expect(await screenHas(shellId, "\n")).toBe("no-such-program: not found\r\n");
});
