// @module-tag any-user
import { expect, test } from "vitest";
import { testRows } from "../../support/rows.ts";
import { startVm } from "../../support/vm.ts";

/** Prints a line, then waits for the end of a child, as npm and npx do. */
const WITH_CHILD = "sleep 1001 & echo ready; wait";
const WITH_DAEMON = "sleep 1001 & setsid -f sh -c 'echo ready; exec sleep 1002'; wait";

async function startReady(line: string) {
  const machine = startVm();
  const { pid } = await machine.vm.spawn("bash", ["-c", line]);
  await machine.outputHas(pid, "ready");
  const sleeps = async () =>
    (await machine.vm.allProcesses())
      .map(({ args }) => args.join(" "))
      .filter((command) => command.startsWith("sleep 100"));
  return { ...machine, pid, sleeps };
}

testRows(
  [
    ["stopProcess", "child", WITH_CHILD],
    ["stopProcess", "child in a process group of its own", "timeout 900 sleep 1001 & echo ready; wait"],
    ["killProcess", "child", WITH_CHILD],
    ["killProcess", "background job", `set -m; ${WITH_CHILD}`],
  ] as const,
  2,
)("%s ends a %s of the process", async (method, _what, line) => {
  const { vm, pid, sleeps } = await startReady(line);
  // `timeout` itself loses a child that it forks while a signal arrives.
  await expect.poll(sleeps).toEqual(["sleep 1001"]);
  await vm[method](pid);
  await vm.waitProcess(pid);
  await expect.poll(sleeps).toEqual([]);
  expect((await vm.getProcess(pid)).reason).toBe("killed");
});

test("a daemon outlives stopProcess, and { tree: true } ends it even after the end of the process", async () => {
  const { vm, pid, sleeps } = await startReady(WITH_DAEMON);
  await vm.stopProcess(pid);
  await vm.waitProcess(pid);
  await expect.poll(sleeps).toEqual(["sleep 1002"]);
  await vm.stopProcess(pid);
  expect(await sleeps()).toEqual(["sleep 1002"]);
  await vm.stopProcess(pid, { tree: true });
  await expect.poll(sleeps).toEqual([]);
});

test("nothing of the tree is left when killProcess with { tree: true } resolves", async () => {
  const { vm, pid, sleeps } = await startReady(WITH_DAEMON);
  await vm.killProcess(pid, { tree: true });
  expect(await sleeps()).toEqual([]);
  expect(await vm.waitProcess(pid)).toBe(137);
});

test("{ tree: false } reaches only the process itself, and so does signalProcess by default", async () => {
  const { vm, pid, sleeps, outputHas } = await startReady(
    "trap 'echo got' USR1; sleep 1001 & echo ready; while :; do wait; done",
  );
  await vm.signalProcess(pid, "USR1");
  await outputHas(pid, "got");
  await vm.stopProcess(pid, { tree: false });
  await vm.waitProcess(pid);
  expect(await sleeps()).toEqual(["sleep 1001"]);
});

test("signalProcess with { tree: true } reaches everything", async () => {
  const { vm, pid, sleeps } = await startReady(WITH_DAEMON);
  await vm.signalProcess(pid, "TERM", { tree: true });
  await vm.waitProcess(pid);
  await expect.poll(sleeps).toEqual([]);
});

test("a signal leaves other processes alone", async () => {
  const { vm, pid, sleeps } = await startReady(WITH_CHILD);
  const { pid: other } = await vm.spawn("sleep", ["1009"]);
  await vm.exec("setsid -f sleep 1008");
  await vm.killProcess(pid, { tree: true });
  await expect.poll(async () => (await sleeps()).sort()).toEqual(["sleep 1008", "sleep 1009"]);
  expect((await vm.getProcess(other)).running).toBe(true);
});
