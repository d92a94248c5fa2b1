import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

async function commands(vm: ReturnType<typeof startVm>["vm"]): Promise<string[]> {
  return (await vm.allProcesses()).map(({ args }) => args.join(" "));
}

test("on expiry the command is killed and the call returns", async () => {
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

test("0 means none", async () => {
  const { vm } = startVm();
  expect(await vm.exec("sleep 0.3; echo done", { timeout: 0 })).toMatchObject({
    stdout: "done\n",
    timedOut: false,
  });
});

test.for([
  ["a child in the background", "sleep 1001 & sleep 1002"],
  ["a grandchild", "sh -c 'sh -c \"sleep 1001; true\"; true'"],
  ["a daemon in a session of its own", "setsid -f sleep 1001; sleep 1002"],
  ["a daemon without environment and descriptors", "setsid -f env -i sleep 1001 <&- >&- 2>&-; sleep 1002"],
  ["a daemon that forked twice", "(setsid sh -c 'sleep 1001 & exit' & exit); sleep 1002"],
  [
    "a command that ignores every signal it can",
    "trap '' TERM INT HUP QUIT USR1; while :; do sleep 1001; done",
  ],
])("kills the whole tree: %s", async ([, line]) => {
  const { vm } = startVm();
  const result = await vm.exec(line as string, { timeout: 400 });
  expect(result.timedOut).toBe(true);
  expect((await commands(vm)).filter((command) => command.includes("sleep 100"))).toEqual([]);
});

test("kills nothing of another command", async () => {
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
