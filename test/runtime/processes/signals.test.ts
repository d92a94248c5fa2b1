import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

const READY_TRAP = (signal: string) =>
  `trap 'echo got ${signal}; exit 42' ${signal}; echo ready; while :; do sleep 0.05; done`;

test("stop is SIGTERM: a program may answer it", async () => {
  const { vm, outputHas, output } = startVm();
  const { pid } = await vm.spawn("bash", ["-c", READY_TRAP("TERM")]);
  await outputHas(pid, "ready");
  await vm.stopProcess(pid);
  expect(await vm.waitProcess(pid)).toBe(42);
  expect(output(pid)).toBe("ready\ngot TERM\n");
});

test("kill is SIGKILL: it may not", async () => {
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

test.for(["SIGINT", "INT", "SIGUSR2", 1])("signalProcess %s", async (signal) => {
  const { vm, outputHas } = startVm();
  const name = signal === 1 ? "HUP" : String(signal).replace("SIG", "");
  const { pid } = await vm.spawn("bash", ["-c", READY_TRAP(name)]);
  await outputHas(pid, "ready");
  await vm.signalProcess(pid, signal);
  expect(await vm.waitProcess(pid)).toBe(42);
});

test("STOP and CONT", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["0.5"]);
  const state = async () => (await vm.allProcesses()).find((process) => process.pid === pid)?.state;
  await vm.signalProcess(pid, "SIGSTOP");
  await expect.poll(state).toBe("T");
  await vm.signalProcess(pid, "SIGCONT");
  await expect.poll(state).toBe("S");
  expect(await vm.waitProcess(pid)).toBe(0);
});

test("after the exit a signal is a no-op, even when the kernel has given the pid away", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("true");
  await vm.waitProcess(pid);
  await vm.stopProcess(pid);
  await vm.killProcess(pid);
  await vm.signalProcess(pid, "SIGKILL");
  expect(await vm.getProcess(pid)).toMatchObject({ running: false, exitCode: 0, reason: "exit" });
});

test("a signal that does not exist is refused", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  await expect(vm.signalProcess(pid, "SIGNONE")).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(vm.signalProcess(pid, 65)).rejects.toMatchObject({ code: "invalid_argument" });
  expect((await vm.getProcess(pid)).running).toBe(true);
});

test("`kill 0` ends its own session, `kill -1` all of the VM, and neither anything of the server's", async () => {
  const { vm, event } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  expect(await vm.exec("kill 0; sleep 5")).toMatchObject({ signal: "SIGTERM" });
  expect((await vm.getProcess(pid)).running).toBe(true);
  await vm.exec("kill -KILL -1");
  expect(await event("processExit")).toEqual({ pid, exitCode: 137, signal: "SIGKILL", reason: "signal" });
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("what ended a process is its reason, not a signal that it answered", async () => {
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
