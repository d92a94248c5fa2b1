// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

const PROMPT = /\$ $/;

test("closeShell hangs up the whole session, and may be called twice", async () => {
  const { vm, screenHas, event } = startVm();
  const { shellId } = await vm.openShell();
  await screenHas(shellId, PROMPT);
  await vm.writeShell(shellId, "sleep 1001 & sleep 1002 & (sleep 1003; true) & echo start''ed\n");
  await screenHas(shellId, "started\r\n");
  await vm.closeShell(shellId);
  await vm.closeShell(shellId);
  expect(await event("shellExit")).toMatchObject({ shellId, exitCode: 129 });
  await expect
    .poll(async () => (await vm.allProcesses()).filter(({ command }) => command === "sleep"))
    .toEqual([]);
  expect(await vm.listShells()).toMatchObject([{ shellId, running: false, exitCode: 129 }]);
});

test("processes started with nohup or setsid survive closeShell", async () => {
  const { vm, screenHas } = startVm();
  const sleepers = async () =>
    (await vm.allProcesses()).filter(({ command }) => command === "sleep").map(({ args }) => args[1]);
  const { shellId } = await vm.openShell();
  await screenHas(shellId, PROMPT);
  await vm.writeShell(shellId, "nohup sleep 1001 >/dev/null 2>&1 & setsid -f sleep 1002\n");
  await expect.poll(sleepers).toEqual(["1001", "1002"]);
  await vm.closeShell(shellId);
  expect(await sleepers()).toEqual(["1001", "1002"]);
});

test("closeShell kills a shell that ignores its hangup", async () => {
  const { vm, screenHas } = startVm();
  const { shellId } = await vm.openShell();
  await screenHas(shellId, PROMPT);
  await vm.writeShell(shellId, "trap '' HUP TERM; echo de''af; while :; do sleep 0.1; done\n");
  await screenHas(shellId, "deaf\r\n");
  await vm.closeShell(shellId);
  expect(await vm.waitShell(shellId)).toBe(137);
});
