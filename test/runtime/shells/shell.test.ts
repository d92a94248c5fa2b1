// @module-tag any-user
import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { startVm } from "../../support/vm.ts";

const PROMPT = /\$ $/;

test("openShell runs a shell on a terminal of the VM", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell();
  expect(shellId).toMatch(/^shell-[0-9a-f]{12}$/);
  await screenHas(shellId, PROMPT);
  await vm.writeShell(
    shellId,
    "tty; stty size; echo $TERM $- | tr -d ' '; [ -t 0 ] && echo is-a-$((1))tty\n",
  );
  const screen = await screenHas(shellId, "is-a-1tty\r\n");
  expect(screen).toMatch(/\r\n\/dev\/pts\/\d+\r\n24 80\r\nxterm-256color[a-zA-Z]*i[a-zA-Z]*\r\n/);
  expect(screen).not.toMatch(/no job control|cannot set terminal|Inappropriate ioctl/);
  await vm.writeShell(shellId, "exit 3\n");
  expect(await vm.waitShell(shellId)).toBe(3);
});

test("^C interrupts, ^Z stops, fg continues, ^D ends", async () => {
  const { vm, screenHas, event } = startVm();
  // A key reaches a program only after bash has given it the terminal, which is after bash prints the command.
  const hasTerminal = (args: string) =>
    expect
      .poll(async () => (await vm.exec("ps -eo stat=,args=")).stdout)
      .toMatch(new RegExp(`^S[N<]?\\+ +${args}$`, "m"));
  const { shellId } = await vm.openShell();
  await screenHas(shellId, PROMPT);
  await vm.writeShell(shellId, "sleep 1000\n");
  await hasTerminal("sleep 1000");
  await vm.writeShell(shellId, "\x03");
  await screenHas(shellId, /\^C\r\n.*\$ $/);
  await vm.writeShell(shellId, "sleep 1001\n");
  await hasTerminal("sleep 1001");
  await vm.writeShell(shellId, "\x1a");
  await screenHas(shellId, /\[1\]\+ {2}Stopped +sleep 1001\r\n.*\$ $/);
  await vm.writeShell(shellId, "fg\n");
  await screenHas(shellId, /fg\r\nsleep 1001\r\n$/);
  await hasTerminal("sleep 1001");
  await vm.writeShell(shellId, "\x03");
  await screenHas(shellId, /fg\r\nsleep 1001\r\n\^C\r\n.*\$ $/);
  await vm.writeShell(shellId, "\x04");
  expect(await event("shellExit")).toEqual({ shellId, exitCode: 130, signal: "SIGINT" });
});

test("resizeShell sends SIGWINCH to the program", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell({ cols: 100, rows: 30 });
  await screenHas(shellId, PROMPT);
  await vm.writeShell(shellId, "stty size; trap 'stty size; echo resized' WINCH; echo arm''ed\n");
  await screenHas(shellId, "30 100\r\n");
  await screenHas(shellId, /armed\r\n[\s\S]*\$ $/);
  await vm.resizeShell(shellId, 132, 43);
  await screenHas(shellId, "43 132\r\nresized");
  expect(await vm.listShells()).toMatchObject([
    { shellId, cols: 132, rows: 43, running: true, exitCode: null },
  ]);
});

test("openShell runs a given command with env and cwd", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell({
    command: "sh",
    args: ["-c", "echo $GREETING from $PWD; exit 4"],
    env: { GREETING: 'it\'s "me"\n$HOME' },
    cwd: "/workspace",
  });
  expect(await vm.waitShell(shellId)).toBe(4);
  expect(await screenHas(shellId, "workspace")).toBe('it\'s "me" $HOME from /workspace\r\n');
});

test("connectTerminal and openShell return the shell's pid", async () => {
  const { vm } = startVm();
  const pid = await vm.connectTerminal({ cols: 90 });
  const opened = await vm.openShell();
  expect(await vm.listShells()).toMatchObject([{ pid, cols: 90 }, opened]);
  expect(opened).toEqual({ shellId: expect.any(String), pid: expect.any(Number) });
  expect((await vm.exec(`ps -o args= -p ${pid}`)).stdout).toMatch(/bash -i\n$/);
});

test("every shell method refuses an unknown shell", async () => {
  const { vm } = startVm();
  const error = { code: "shell_not_found", message: "Shell not found: shell-9" };
  await expect(vm.writeShell("shell-9", "x")).rejects.toMatchObject(error);
  await expect(vm.resizeShell("shell-9", 80, 24)).rejects.toMatchObject(error);
  await expect(vm.closeShell("shell-9")).rejects.toMatchObject(error);
  await expect(vm.waitShell("shell-9")).rejects.toMatchObject(error);
  await expect(vm.readShell("shell-9")).rejects.toMatchObject(error);
});

test("listShells lists shells in the order in which they were opened, ended ones too", async () => {
  const { vm } = startVm();
  const opened: string[] = [];
  for (let round = 0; round < 4; round++) opened.push((await vm.openShell({ command: "cat" })).shellId);
  await vm.closeShell(opened[1] as string);
  expect((await vm.listShells()).map(({ shellId }) => shellId)).toEqual(opened);
});

test("an id from before a sleep is unknown, whatever shells are open after it", async () => {
  const store = new MemoryStore();
  const before = startVm({}, undefined, { store });
  const { shellId } = await before.vm.openShell({ command: "cat" });
  await before.vm.dispose("sleep");
  const { vm } = startVm({}, undefined, { store });
  await vm.openShell({ command: "cat" });
  const error = { code: "shell_not_found" };
  await expect(vm.writeShell(shellId, "x")).rejects.toMatchObject(error);
  await expect(vm.readShell(shellId)).rejects.toMatchObject(error);
  await expect(vm.snapshotShell(shellId)).rejects.toMatchObject(error);
});
