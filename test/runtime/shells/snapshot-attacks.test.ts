// @module-tag attack
import { expect, test } from "vitest";
import { cpuMs } from "../../support/cpu.ts";
import { printing, shown } from "../../support/screens.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

test("escape sequences that ask for too much neither stop the server nor spoil the screen", async () => {
  const machine = startVm();
  const hostile = ["b", "S", "T", "L", "M", "@", "P", "X", "I", "Z", "A", "B"].map(
    (final) => `\\033[2147483647${final}`,
  );
  const shellId = await printing(machine, `printf 'x${hostile.join("")}\\033[H\\033[2Jfine'`);
  let longest = 0;
  let last = cpuMs();
  const timer = setInterval(() => {
    longest = Math.max(longest, cpuMs() - last);
    last = cpuMs();
  }, 5);
  const snapshot = await machine.vm.snapshotShell(shellId);
  clearInterval(timer);
  expect((await shown(snapshot, snapshot.data)).lines.join("")).toContain("fine");
  expect(longest).toBeLessThan(500);
});

test("output that takes too long to draw is refused, and the shell goes on", async () => {
  const machine = startVm();
  const { vm } = machine;
  const shellId = await printing(
    machine,
    "i=0; while [ $i -lt 12000 ]; do printf '\\033[4096L\\033[4096S'; i=$((i+1)); done",
    {
      cols: 500,
      rows: 500,
    },
  );
  expect(await failure(vm.snapshotShell(shellId))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "SCREEN_TIMEOUT_MS" },
  });
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("a terminal of too many cells is refused", async () => {
  const machine = startVm();
  const shellId = await printing(machine, "true", { cols: 4096, rows: 4096 });
  expect(await failure(machine.vm.snapshotShell(shellId))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_SCREEN_CELLS" },
  });
  expect(await failure(machine.vm.snapshotShell("shell-99"))).toMatchObject({ code: "shell_not_found" });
});
