// @module-tag any-user
// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import { cgroupSupport } from "../../../../../src/runtime/sandbox/kernel/processes/cgroup.ts";
import { living } from "../../../../support/living.ts";
import { startVm } from "../../../../support/vm.ts";

const MIB = 1024 * 1024;

test("filesystemBytes: ENOSPC for processes and for the API, and the old file stays", async () => {
  const { vm } = startVm({ limits: { filesystemBytes: 16 * MIB } });
  await vm.writeFile("/workspace/kept", "before");
  await expect(vm.writeFile("/workspace/kept", new Uint8Array(20 * MIB))).rejects.toMatchObject({
    code: "ENOSPC",
  });
  expect(Buffer.from(await vm.readFile("/workspace/kept")).toString()).toBe("before");
  expect((await vm.exec("head -c 20M /dev/zero > /workspace/big")).stderr).toContain(
    "No space left on device",
  );
  expect(await vm.readdir("/workspace")).toEqual(["big", "kept"]);
  await vm.delete("/workspace/big");
  await vm.writeFile("/workspace/kept", "after");
});

test("files above the limit of inodes fail with ENOSPC", async () => {
  const { vm } = startVm({ limits: { inodes: 1000 } });
  expect(
    (await vm.exec("mkdir many; cd many; for i in $(seq 1 2000); do : > $i || exit 9; done")).exitCode,
  ).toBe(9);
  await expect(vm.writeFile("/workspace/one-more", "")).rejects.toMatchObject({ code: "ENOSPC" });
});

const BOMB = "bomb() { bomb | bomb & }; bomb; sleep 1001";

test("processes: a fork bomb stops at the limit, and the API still starts commands", async () => {
  const { vm } = startVm({ limits: { processes: 64 } });
  const { pid } = await vm.spawn("bash", ["-c", BOMB]);
  await expect.poll(async () => (await vm.allProcesses()).length).toBeGreaterThan(50);
  for (let times = 0; times < 20; times++) expect((await vm.exec("echo on")).stdout).toBe("on\n");
  expect((await vm.allProcesses()).length).toBeLessThanOrEqual(66);
  await vm.killProcess(pid);
});

test("processes: a fork bomb ends with its command's timeout", async () => {
  const { vm } = startVm({ limits: { processes: 64 } });
  expect(await vm.exec(BOMB, { timeout: 1000 })).toMatchObject({ reason: "timeout" });
  expect(living(await vm.allProcesses()).filter(({ command }) => command === "bash")).toEqual([]);
});

test("processes: past the reserve, spawn, exec and openShell are EAGAIN", async () => {
  const { vm } = startVm({ limits: { processes: 24 } });
  const fill = async () => {
    for (;;) await vm.spawn("sleep", ["1001"]);
  };
  await expect(fill()).rejects.toMatchObject({ code: "EAGAIN" });
  await expect(vm.exec("true")).rejects.toMatchObject({ code: "EAGAIN" });
  await expect(vm.openShell()).rejects.toMatchObject({ code: "EAGAIN" });
});

test("openFiles: EMFILE", async () => {
  const { vm } = startVm({ limits: { openFiles: 64 } });
  const { stdout } = await vm.exec(`ulimit -n; python3 -c "
import os
try:
  while True: last = os.open('/dev/null', os.O_RDONLY)
except OSError as error: print(last, error.strerror)"`);
  expect(stdout).toBe("64\n63 Too many open files\n");
});

test("memoryBytes: the kernel kills a process of the VM, and exec reports oom", async ({ skip }) => {
  if (cgroupSupport().create === undefined) skip(cgroupSupport().description);
  const { vm } = startVm({ limits: { memoryBytes: 128 * MIB } });
  const result = await vm.exec("exec python3 -c 'x = bytearray(512 << 20)'");
  expect(result).toMatchObject({ exitCode: 137, signal: "SIGKILL", reason: "oom", oomKills: 1 });
  expect(await vm.exec("echo on")).toMatchObject({ stdout: "on\n", stderr: "", oomKills: 0 });
});

test("memoryBytes: a kill inside a pipeline is told in the result, on the process and in stderr", async ({
  skip,
}) => {
  if (cgroupSupport().create === undefined) skip(cgroupSupport().description);
  const { vm, event, output } = startVm({ limits: { memoryBytes: 128 * MIB } });
  const line = "python3 -c 'x = bytearray(512 << 20)' | cat";
  const notice = "agent-vm: out of memory: the kernel killed a process\n";
  expect(await vm.exec(line)).toMatchObject({ exitCode: 0, reason: "exit", oomKills: 1, stderr: notice });
  const { pid } = await vm.spawn("bash", ["-c", line]);
  expect(await event("processExit")).toEqual({ pid, exitCode: 0, reason: "exit", oomKills: 1 });
  expect(await vm.getProcess(pid)).toMatchObject({ oomKills: 1 });
  expect(output(pid, "stderr")).toBe(notice);
});

test("memoryBytes: files count, and the kernel kills the command and not its spawner", async ({ skip }) => {
  if (cgroupSupport().create === undefined) skip(cgroupSupport().description);
  const { vm } = startVm({ limits: { memoryBytes: 64 * MIB } });
  const result = await vm.execArgv("head", ["-c", "60M", "/dev/zero"], { captureStdio: false });
  expect(result.reason).toBe("exit");
  const hungry = `python3 -c 'print(len(b"x" * (40 << 20)))'`;
  expect((await vm.exec(hungry)).stdout).toBe(`${40 * MIB}\n`);
  // Files leave memory to programs, but not that much.
  const filling = await vm.exec(`head -c 200M /dev/zero > /tmp/big; exec ${hungry}`);
  expect(filling).toMatchObject({ signal: "SIGKILL", reason: "oom" });
  // The spawner reports the CPU time, so it has survived.
  expect(filling.cpuMs).toBeGreaterThan(0);
  await vm.delete("/tmp/big");
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("exec does not report oom for another SIGKILL", async () => {
  const { vm } = startVm();
  expect(await vm.exec("kill -KILL $$")).toMatchObject({ signal: "SIGKILL", reason: "signal" });
});
