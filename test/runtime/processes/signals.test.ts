// @module-tag any-user
import { expect, test } from "vitest";
import { testRows } from "../../support/rows.ts";
import { startVm } from "../../support/vm.ts";

const READY_TRAP = (signal: string) =>
  `trap 'echo got ${signal}; exit 42' ${signal}; echo ready; while :; do sleep 0.05; done`;

test("stopProcess sends SIGTERM, which a program may handle", async () => {
  const { vm, outputHas, output } = startVm();
  const { pid } = await vm.spawn("bash", ["-c", READY_TRAP("TERM")]);
  await outputHas(pid, "ready");
  await vm.stopProcess(pid);
  expect(await vm.waitProcess(pid)).toBe(42);
  expect(output(pid)).toBe("ready\ngot TERM\n");
});

test("killProcess sends SIGKILL, which a program cannot handle", async () => {
  const { vm, outputHas, event } = startVm();
  const { pid } = await vm.spawn("bash", ["-c", READY_TRAP("TERM")]);
  await outputHas(pid, "ready");
  await vm.killProcess(pid);
  expect(await event("processExit")).toEqual({ pid, exitCode: 137, signal: "SIGKILL", reason: "killed" });
  expect(await vm.getProcess(pid)).toMatchObject({
    running: false,
    exitCode: 137,
    signal: "SIGKILL",
    reason: "killed",
  });
});

testRows<[string | number]>([["SIGINT"], [1], ["INT"], ["SIGUSR2"]], 2)(
  "signalProcess %s",
  async (signal) => {
    const { vm, outputHas } = startVm();
    const name = signal === 1 ? "HUP" : String(signal).replace("SIG", "");
    const { pid } = await vm.spawn("bash", ["-c", READY_TRAP(name)]);
    await outputHas(pid, "ready");
    await vm.signalProcess(pid, signal);
    expect(await vm.waitProcess(pid)).toBe(42);
  },
);

test("SIGSTOP stops and SIGCONT continues a process", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["3"]);
  const state = async () => (await vm.allProcesses()).find((process) => process.pid === pid)?.state;
  await vm.signalProcess(pid, "SIGSTOP");
  await expect.poll(state).toBe("T");
  await vm.signalProcess(pid, "SIGCONT");
  await expect.poll(state).toBe("S");
  expect(await vm.waitProcess(pid)).toBe(0);
});

test("a signal after the exit has no effect, even if the kernel has reused the pid", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("true");
  await vm.waitProcess(pid);
  await vm.stopProcess(pid);
  await vm.killProcess(pid);
  await vm.signalProcess(pid, "SIGKILL");
  expect(await vm.getProcess(pid)).toMatchObject({ running: false, exitCode: 0, reason: "exit" });
});

test("refuses an unknown signal", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  await expect(vm.signalProcess(pid, "SIGNONE")).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(vm.signalProcess(pid, 65)).rejects.toMatchObject({ code: "invalid_argument" });
  expect((await vm.getProcess(pid)).running).toBe(true);
});

test("`kill 0` ends its session, `kill -1` the whole VM, and neither a process of the server", async () => {
  const { vm, event } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  expect(await vm.exec("kill 0; sleep 5")).toMatchObject({ signal: "SIGTERM" });
  expect((await vm.getProcess(pid)).running).toBe(true);
  await vm.exec("kill -KILL -1");
  expect(await event("processExit")).toEqual({ pid, exitCode: 137, signal: "SIGKILL", reason: "signal" });
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("the reason is the signal that ended a process, not a signal that it handled", async () => {
  const { vm, outputHas } = startVm();
  const reasonAfter = async (script: string, ...signals: string[]) => {
    const { pid } = await vm.spawn("bash", ["-c", script]);
    await outputHas(pid, "ready");
    for (const signal of signals) await vm.signalProcess(pid, signal);
    await vm.closeProcessStdin(pid);
    await vm.waitProcess(pid);
    return (await vm.getProcess(pid)).reason;
  };
  expect(await reasonAfter("trap : USR1; echo ready; cat; true", "USR1")).toBe("exit");
  expect(await reasonAfter("echo ready; cat; true", "STOP", "CONT")).toBe("exit");
  expect(await reasonAfter("trap : USR1; echo ready; cat; kill -9 $$", "USR1")).toBe("signal");
  expect(await reasonAfter(READY_TRAP("TERM"), "TERM")).toBe("killed");
  expect(await reasonAfter("echo ready; exec sleep 1001", "USR2")).toBe("killed");
});
