import { expect, test } from "vitest";
import { cgroupSupport } from "../../../../src/runtime/sandbox/kernel/cgroup.ts";
import { startVm } from "../../../support/vm.ts";

const MIB = 1024 * 1024;

test("filesystemBytes: ENOSPC, for processes and for the API, and nothing half written", async () => {
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

test("inodes: ENOSPC", async () => {
  const { vm } = startVm({ limits: { inodes: 1000 } });
  expect(
    (await vm.exec("mkdir many; cd many; for i in $(seq 1 2000); do : > $i || exit 9; done")).exitCode,
  ).toBe(9);
  await expect(vm.writeFile("/workspace/one-more", "")).rejects.toMatchObject({ code: "ENOSPC" });
});

test("processes: a fork bomb stops at the limit, and the VM goes on", { timeout: 60_000 }, async () => {
  const { vm } = startVm({ limits: { processes: 64 } });
  const bomb = vm.exec("bomb() { bomb | bomb & }; bomb; sleep 1", { timeout: 1500 });
  await bomb;
  expect((await vm.allProcesses()).length).toBeLessThanOrEqual(66);
  await expect
    .poll(async () => (await vm.exec("echo on").catch((error) => error)).stdout, { timeout: 20_000 })
    .toBe("on\n");
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

test("memoryBytes: the kernel ends a process of the VM, and says so", async ({ skip }) => {
  if (cgroupSupport().create === undefined) skip(cgroupSupport().description);
  const { vm } = startVm({ limits: { memoryBytes: 128 * MIB } });
  const result = await vm.exec("exec python3 -c 'x = bytearray(512 << 20)'");
  expect(result).toMatchObject({ exitCode: 137, signal: "SIGKILL", reason: "oom" });
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("a kill that is not the kernel's is no oom", async () => {
  const { vm } = startVm();
  expect(await vm.exec("kill -KILL $$")).toMatchObject({ signal: "SIGKILL", reason: "signal" });
});
