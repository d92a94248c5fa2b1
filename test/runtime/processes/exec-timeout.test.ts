// @module-tag any-user
import { expect, test } from "vitest";
import { testRows } from "../../support/rows.ts";
import { startVm } from "../../support/vm.ts";

async function commands(vm: ReturnType<typeof startVm>["vm"]): Promise<string[]> {
  return (await vm.allProcesses()).map(({ args }) => args.join(" "));
}

test("timeout kills the command, and the call returns", async () => {
  const { vm } = startVm();
  const result = await vm.exec("echo before; sleep 100", { timeout: 1000 });
  expect(result).toMatchObject({
    exitCode: 137,
    stdout: "before\n",
    signal: "SIGKILL",
    timedOut: true,
    reason: "timeout",
  });
});

test("a timeout of 0 means no timeout", async () => {
  const { vm } = startVm();
  expect(await vm.exec("sleep 0.3; echo done", { timeout: 0 })).toMatchObject({
    stdout: "done\n",
    timedOut: false,
  });
});

testRows(
  [
    ["a daemon without environment and descriptors", "setsid -f env -i sleep 1001 <&- >&- 2>&-; sleep 1002"],
    ["a child in the background", "sleep 1001 & sleep 1002"],
    ["a grandchild", "sh -c 'sh -c \"sleep 1001; true\"; true'"],
    ["a daemon in a session of its own", "setsid -f sleep 1001; sleep 1002"],
    ["a daemon that forked twice", "(setsid sh -c 'sleep 1001 & exit' & exit); sleep 1002"],
    [
      "a command that ignores every signal it can",
      "trap '' TERM INT HUP QUIT USR1; while :; do sleep 1001; done",
    ],
  ] as const,
  1,
)("kills the whole tree: %s", async (_name, line) => {
  const { vm } = startVm();
  const result = await vm.exec(line, { timeout: 400 });
  expect(result.timedOut).toBe(true);
  expect((await commands(vm)).filter((command) => command.includes("sleep 100"))).toEqual([]);
});

test("timeout kills no process of another command", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["2001"]);
  await vm.exec("setsid -f sleep 2002");
  await vm.exec("sleep 2003 & sleep 2004", { timeout: 200 });
  expect((await commands(vm)).filter((command) => command.startsWith("sleep")).sort()).toEqual([
    "sleep 2001",
    "sleep 2002",
  ]);
  expect((await vm.getProcess(pid)).running).toBe(true);
});
